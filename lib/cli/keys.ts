/**
 * One key: q ends what is shown on a terminal.
 *
 * Invariant: the terminal is left as it was found; without one as stdin only the interrupt ends.
 */

import { interrupted } from "./command.ts";

const QUIT = "q";

/** Runs `show` until it ends; its signal is aborted by the interrupt, or when q is pressed. */
export async function untilQuit(
  interrupt: AbortSignal,
  show: (enough: AbortSignal) => Promise<void>,
): Promise<void> {
  if (!Deno.stdin.isTerminal()) return await show(interrupt);
  const quit = new AbortController();
  Deno.stdin.setRaw(true, { cbreak: true });
  try {
    // Still waits for a key when everything is over; the end of the program ends it, too.
    waitForKey().then((pressed) => pressed && quit.abort(interrupted));
    await show(AbortSignal.any([interrupt, quit.signal]));
  } finally {
    Deno.stdin.setRaw(false);
  }
}

/** True: q was pressed; false: nothing comes any more. */
async function waitForKey(): Promise<boolean> {
  const bytes = new Uint8Array(16);
  while (true) {
    const count = await Deno.stdin.read(bytes).catch(() => null); // a terminal that is gone
    if (count === null) return false;
    if (new TextDecoder().decode(bytes.subarray(0, count)).includes(QUIT)) return true;
  }
}
