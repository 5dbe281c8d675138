/**
 * A directory of one test's own.
 *
 * Invariant: short enough for a Unix socket inside, never shared, gone afterwards.
 */

import { dirname, join } from "@std/path";

/** A directory that is removed with everything in it when its scope ends. */
export class Scratch implements Disposable {
  /** Absolute, symlinks resolved. */
  readonly dir: string;

  constructor() {
    this.dir = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "sup-" }));
    // Programs under test may run as another user.
    Deno.chmodSync(this.dir, 0o755);
  }

  /** A path inside. */
  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  /** Writes a file, with its directories. @returns its path */
  write(name: string, text: string, mode = 0o644): string {
    const path = this.path(name);
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(path, text);
    Deno.chmodSync(path, mode);
    return path;
  }

  /** Content of a file, or undefined when there is none. */
  read(name: string): string | undefined {
    try {
      return Deno.readTextFileSync(this.path(name));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.dir, { recursive: true });
  }
}
