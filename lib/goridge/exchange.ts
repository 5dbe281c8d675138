/**
 * Requests and answers: a frame whose payload is a context and a body one after the other, and whose one
 * option says where the body begins.
 *
 * Invariant: an answer that is taken has exactly one option, and it lies within the payload.
 */

import { textOf } from "./printed.ts";
import { type Frame, FrameBroken, type OutFrame } from "./relay.ts";

/** A payload taken apart; both are views on it. */
export interface Split {
  context: Uint8Array;
  body: Uint8Array;
}

/** A request for a worker. @param flags its codec */
export function request(
  flags: number,
  context: Uint8Array,
  body: readonly Uint8Array[] = [],
): OutFrame {
  return { flags, options: [context.length], parts: [context, ...body] };
}

/** Context and body of an answer. @throws FrameBroken when it cannot be taken apart */
export function split({ options, payload }: Frame): Split {
  if (options.length !== 1) {
    throw noAnswer(`an answer has one option, and this one has ${options.length}`, payload);
  }
  const [length] = options;
  if (length > payload.length) {
    throw noAnswer(
      `the answer's context shall be ${length} bytes long, and the whole answer is ${payload.length}`,
      payload,
    );
  }
  return { context: payload.subarray(0, length), body: payload.subarray(length) };
}

/** With what stands there: what a worker printed into its answer, mostly. */
function noAnswer(wrong: string, payload: Uint8Array): FrameBroken {
  const text = textOf(payload);
  return new FrameBroken(text === "" ? wrong : `${wrong}: "${text}"`, text);
}
