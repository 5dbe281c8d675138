/**
 * Builds the program: bundle, compile, put in place.
 *
 * Invariants: a finished binary appears under its name in one rename, also over a running one; two
 * builds at once wait for each other; a build whose ingredients did not change is not repeated, and
 * would make the same bytes.
 */

import { basename, dirname, join } from "@std/path";
import { bundle } from "./bundle.ts";
import { compile, type Image } from "./compiler.ts";
import { BINARY, CACHE, fingerprint, MAIN, sha256, THREADS } from "./project.ts";

/** What to build. */
export interface BuildOptions {
  /** Target triple; default this machine. */
  target?: string;
  /** Absolute; default `./supervisor` of the repository. */
  output?: string;
  /** Accept no image from npm (release builds). */
  official?: boolean;
  /** Build even if nothing changed. */
  force?: boolean;
  /** Told before a build begins, which takes seconds. */
  onStart?: (output: string, target: string) => void;
}

/** What was built. */
export interface Built extends Image {
  path: string;
  bytes: number;
  /** False: the existing binary is up to date. */
  fresh: boolean;
}

/** What is remembered of the last build of one output. */
interface Stamp extends Image {
  /** Everything that went into it. */
  key: string;
  bytes: number;
  modified: number;
}

/**
 * Builds the program unless the binary is up to date.
 *
 * @throws Error in plain words: the sources cannot be bundled, or there is no runtime image
 */
export async function build(options: BuildOptions = {}): Promise<Built> {
  const target = options.target ?? Deno.build.target;
  const output = options.output ?? BINARY;
  const work = join(CACHE, "build");
  Deno.mkdirSync(work, { recursive: true });
  using lock = Deno.openSync(join(work, "lock"), { create: true, write: true });
  await lock.lock(true);

  const key = await buildKey(target, options.official ?? false);
  const stampFile = join(work, `${await sha256(new TextEncoder().encode(output))}.json`);
  const known = options.force ? undefined : upToDate(stampFile, key, output);
  if (known !== undefined) return { ...known, path: output, fresh: false };

  options.onStart?.(output, target);
  const directory = Deno.makeTempDirSync({ dir: work });
  try {
    const binary = join(directory, "supervisor");
    const scripts = await bundle(MAIN, join(directory, "program"));
    for (const [name, entry] of Object.entries(THREADS)) {
      const [thread, ...more] = await bundle(entry, join(directory, name));
      // Not beside the program's, where they would not be found.
      if (more.length > 0) throw new Error(`the thread ${entry} loads parts of itself later`);
      scripts.push(join(directory, "program", name));
      Deno.renameSync(thread, scripts.at(-1)!);
    }
    // Times of change go into the binary, which would otherwise differ each time it is built.
    for (const file of scripts) Deno.utimeSync(file, 0, 0);
    const image = await compile(scripts, binary, target, options.official ?? false);
    putInPlace(binary, output);
    const { size: bytes, mtime } = Deno.statSync(output);
    const stamp: Stamp = { key, bytes, modified: mtime!.getTime(), ...image };
    Deno.writeTextFileSync(stampFile, JSON.stringify(stamp));
    return { path: output, bytes, fresh: true, ...image };
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

async function buildKey(target: string, official: boolean): Promise<string> {
  return JSON.stringify([
    await fingerprint(),
    Deno.version.deno,
    target,
    official,
    Deno.env.get("DENORT_BIN") ?? null,
  ]);
}

/** A binary that is running cannot be written to, but it can be replaced. */
function putInPlace(binary: string, output: string): void {
  const next = join(dirname(output), `.${basename(output)}.new`);
  Deno.copyFileSync(binary, next);
  Deno.renameSync(next, output);
}

/** The stamp, if it speaks of this very file and these very ingredients. */
function upToDate(stampFile: string, key: string, output: string): Stamp | undefined {
  try {
    const stamp: Stamp = JSON.parse(Deno.readTextFileSync(stampFile));
    const { size, mtime } = Deno.statSync(output);
    const same = stamp.key === key && stamp.bytes === size && stamp.modified === mtime!.getTime();
    return same ? stamp : undefined;
  } catch {
    // No stamp, half a stamp, no binary: build. Nothing is lost by building once too often.
    return undefined;
  }
}
