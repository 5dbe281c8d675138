/**
 * The first words: we ask a worker who it is, it answers with its pid. The same question, asked later
 * of a worker that waits for work, shows whether it still listens.
 *
 * Invariant: nothing but a CONTROL frame with a pid is an answer.
 */

import { Flag } from "./codes.ts";
import { askPid } from "./control.ts";
import { textOf } from "./printed.ts";
import { type Frame, FrameBroken, type Relay } from "./relay.ts";

/**
 * Shakes hands. The deadline is the caller's: it closes the relay.
 *
 * @param ours our own pid
 * @returns the pid the worker says it has; undefined: it closed, or the relay was closed
 * @throws FrameBroken when something else came
 */
export async function shakeHands(relay: Relay, ours: number): Promise<number | undefined> {
  if (!await relay.send(askPid(ours))) return await afterwards(relay);
  const answer = await relay.receive();
  return answer && pidOf(answer);
}

/** The pid in the answer to askPid(). @throws FrameBroken when it is another frame */
export function pidOf(answer: Frame): number {
  const text = textOf(answer.payload);
  if (answer.flags & Flag.error) {
    throw new FrameBroken(`the worker answered the handshake with an error: "${text}"`, text);
  }
  const pid = answer.flags & Flag.control ? pidIn(answer.payload) : undefined;
  if (pid !== undefined) return pid;
  throw new FrameBroken(
    text === ""
      ? "the worker answered the handshake with something else than its pid"
      : `the worker answered the handshake with something else than its pid: "${text}"`,
    text,
  );
}

/** A worker that does not listen any more may have said why before it went. @throws FrameBroken */
async function afterwards(relay: Relay): Promise<undefined> {
  while (await relay.receive() !== undefined);
  return undefined;
}

function pidIn(payload: Uint8Array): number | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return undefined; // no JSON, so no pid
  }
  const pid = (value as { pid?: unknown } | null)?.pid;
  return typeof pid === "number" && Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}
