/**
 * The archives of a release, and their checksums.
 *
 * Invariant: the same contents give the same bytes, whoever packs them and when.
 */

import { basename, dirname, join } from "@std/path";
import { run } from "../run.ts";
import { sha256 } from "../project.ts";

/** Packing takes no longer, milliseconds. */
const LIMIT = 120_000;

/** A file of an archive. */
export interface Entry {
  /** Path inside. */
  name: string;
  /** Its text, or the file that it is copied from. */
  from: { text: string } | { file: string };
  executable?: boolean;
}

/**
 * Packs entries under one folder, named as the archive, into `archive` (`….tar.gz`).
 *
 * @param time of everything inside, seconds since 1970
 * @throws Error when tar or gzip cannot do it
 */
export async function pack(archive: string, entries: Entry[], time: number): Promise<void> {
  const folder = basename(archive).replace(/\.tar\.gz$/, "");
  const work = Deno.makeTempDirSync({ dir: dirname(archive), prefix: ".pack-" });
  try {
    for (const { name, from, executable } of entries) {
      const path = join(work, folder, name);
      Deno.mkdirSync(dirname(path), { recursive: true });
      if ("text" in from) Deno.writeTextFileSync(path, from.text);
      else Deno.copyFileSync(from.file, path);
      Deno.chmodSync(path, executable ? 0o755 : 0o644);
    }
    const tar = join(work, "archive.tar");
    await done([
      "tar",
      `--directory=${work}`,
      "--format=ustar",
      "--sort=name",
      `--mtime=@${time}`,
      "--owner=root:0",
      "--group=root:0",
      "--mode=u+rwX,go+rX,go-w",
      "--create",
      `--file=${tar}`,
      folder,
    ]);
    await done(["gzip", "--no-name", tar]);
    Deno.renameSync(`${tar}.gz`, archive);
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
}

async function done(argv: string[]): Promise<void> {
  const { code, stderr, cut } = await run(argv, { limit: LIMIT });
  if (code === 0) return;
  const why = cut ? `not done after ${LIMIT / 1000} s` : stderr.trim();
  throw new Error(`${argv[0]} cannot pack the release: ${why}`);
}

/** The checksums of files of one directory, as `sha256sum --check` reads them, sorted by name. */
export async function sums(directory: string, names: string[]): Promise<string> {
  const lines: string[] = [];
  for (const name of [...names].sort()) {
    lines.push(`${await sha256(Deno.readFileSync(join(directory, name)))}  ${name}\n`);
  }
  return lines.join("");
}
