/**
 * A body whole in memory.
 *
 * Invariant: memory follows what arrived, not what was announced; no byte is copied more often than
 * a doubling buffer does.
 */

import { type Body, BodyBroken } from "../../../lib/http/mod.ts";

/** First buffer, however long the body says it is. */
const FIRST = 64 * 1024;

/**
 * All bytes of a body.
 *
 * @throws BodyBroken when the sender left, or with 413 when there are more than `most` bytes
 */
export async function collect(body: Body, most: number): Promise<Uint8Array<ArrayBuffer>> {
  refuseLong(body, most);
  let bytes = new Uint8Array(body.length < 0 ? FIRST : Math.min(body.length, FIRST));
  let length = 0;
  while (await body.pull()) {
    const window = body.bytes.subarray(body.start, body.end);
    const needed = length + window.length;
    if (needed > most) throw tooLarge(most);
    if (needed > bytes.length) {
      const larger = new Uint8Array(roomFor(needed, bytes.length, body.length));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(window, length);
    length = needed;
  }
  return bytes.subarray(0, length);
}

/** Refuses a body that says itself that it is too long. @throws BodyBroken with 413 */
export function refuseLong(body: Body, most: number): void {
  if (body.length > most) throw tooLarge(most);
}

/** The refusal of a body of more than `most` bytes. */
export function tooLarge(most: number): BodyBroken {
  return new BodyBroken(`the body is larger than ${most} bytes`, 413);
}

function roomFor(needed: number, now: number, announced: number): number {
  const doubled = Math.max(needed, now * 2);
  return announced < 0 ? doubled : Math.max(needed, Math.min(doubled, announced));
}
