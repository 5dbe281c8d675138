/**
 * A real disk that is soon full: a tmpfs, mounted where a test wants it.
 *
 * Invariant: mounting takes root; where it is not permitted such tests are ignored, and say why. It is
 * unmounted whatever still uses it.
 */

import { daemonTest } from "./daemon.ts";

const WHY = "needs root, and to be allowed to mount";

/** Whether it may be mounted; asked in a name space of its own, so nothing is left. */
const possible = run("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt");

function run(command: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Makes `directory`, for us alone, a disk of its own. @param size as mount(8) takes it: `1m` */
export function smallDisk(directory: string, size: string): Disposable {
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const options = `size=${size},mode=0700`;
  if (!run("mount", "-t", "tmpfs", "-o", options, "tmpfs", directory)) {
    throw new Error(`cannot mount a disk on ${directory}`);
  }
  return { [Symbol.dispose]: () => void run("umount", "-l", directory) };
}

/** A test with a small disk. */
export function smallDiskTest(name: string, body: () => Promise<void>): void {
  if (possible) Deno.test(name, body);
  else Deno.test.ignore(`${name} (${WHY})`, () => {});
}

/** A test with a small disk and a daemon. */
export function smallDiskDaemonTest(...args: Parameters<typeof daemonTest>): void {
  if (possible) daemonTest(...args);
  else Deno.test.ignore(`${args[0]} (${WHY})`, () => {});
}
