/**
 * The program as a real process, as a user runs it.
 *
 * Invariant: nothing of the caller's environment decides what a test sees.
 */

import { fromFileUrl } from "@std/path";

const MAIN = fromFileUrl(new URL("../../../main.ts", import.meta.url));

/** How a command ended. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** How to run it. */
export interface How {
  cwd?: string;
  env?: Record<string, string>;
  /** Without root's right to pass by file modes. */
  weak?: boolean;
}

/** The words that start the program from source. */
export const PROGRAM = [Deno.execPath(), "run", "-A", "--quiet", "--unstable-net", MAIN];

/** Takes from root what makes file modes mean nothing to it. */
const CAPABILITIES = "-dac_override,-dac_read_search";
const WEAK = ["setpriv", `--bounding-set=${CAPABILITIES}`, `--inh-caps=${CAPABILITIES}`];

/** Starts a command; its stdout is piped. */
export function spawn(args: string[], { cwd, env, weak }: How = {}): Deno.ChildProcess {
  const [program, ...first] = weak && Deno.uid() === 0 ? [...WEAK, ...PROGRAM] : PROGRAM;
  return new Deno.Command(program, {
    args: [...first, ...args],
    cwd,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH")!, HOME: "/nonexistent", ...cache(), ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs a command to its end. */
export async function supervisor(args: string[], how: How = {}): Promise<Ended> {
  const { code, stdout, stderr } = await spawn(args, how).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Where the runtime keeps what it has fetched, so that nothing is fetched again. */
function cache(): Record<string, string> {
  const home = Deno.env.get("HOME") ?? "/root";
  return { DENO_DIR: Deno.env.get("DENO_DIR") ?? `${home}/.cache/deno` };
}
