/**
 * The life of a worker: shakes hands, answers one request after the other, ends when told.
 *
 * | frame                     | idle                  | busy                                  |
 * | ------------------------- | --------------------- | ------------------------------------- |
 * | CONTROL `{"pid":…}`       | answers its own pid   | the same, after the answer            |
 * | CONTROL `{"stop":true}`   | closes, exit code 0   | the same, after the answer            |
 * | STOP bit                  | ignored (came late)   | the streamed answer ends              |
 * | PONG bit                  | ignored               | the next PING may go                  |
 * | request                   | busy                  | busy again, after the answer          |
 * | end of the relay          | closes, exit code 1   | the same, at once                     |
 * | no frame, unknown control | told on stderr, exit code 1 | the same, at once               |
 *
 * Invariant: one request at a time; what a handler throws fails its request and not the worker.
 */

import process from "node:process";
import { Bit, encode, Flag, type Frame } from "./frame.ts";
import { isPipes, openRelay, type Relay, relayName } from "./relay.ts";
import { textOf, Turn } from "./turn.ts";

/** What every kind of worker may be told. */
export interface WorkerOptions {
  /** Called before the worker ends: close connections, flush what is held. Bounded by the supervisor. */
  close?: () => void | Promise<void>;
}

/** The plugin this worker was started for: `http`, `jobs`, `tcp`; "" when nobody says so. */
export const mode: string = process.env.RR_MODE ?? "";

const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder();

/** Works until told to stop; the process ends then. */
export async function run(
  plugin: string,
  work: (turn: Turn) => Promise<void>,
  options: WorkerOptions,
): Promise<never> {
  let code = 0;
  try {
    if (mode !== "" && mode !== plugin) {
      throw new Error(
        `this worker was started for "${mode}" (RR_MODE), but answers ${plugin} only`,
      );
    }
    const name = relayName();
    const relay = await openRelay(name);
    const told = await workOn(relay, isPipes(name), work);
    if (!told) {
      process.stderr.write("worker: the supervisor is gone\n");
      code = 1;
    }
  } catch (error) {
    process.stderr.write(`worker: ${textOf(error)}\n`);
    code = 1;
  }
  try {
    await options.close?.();
  } catch (error) {
    process.stderr.write(`worker: close failed: ${textOf(error)}\n`);
    code = 1;
  }
  process.exit(code);
}

/** @returns true when told to stop, false when the supervisor is gone */
async function workOn(
  relay: Relay,
  pings: boolean,
  work: (turn: Turn) => Promise<void>,
): Promise<boolean> {
  let turn: Turn | undefined;
  /** The answer that is being made; rejects when it cannot be sent. */
  let busy = Promise.resolve();
  for (;;) {
    const frame = await relay.receive();
    if (frame === undefined) return false;
    if (frame.bits & Bit.stop) turn?.stop();
    if (frame.bits & Bit.pong) turn?.pong();
    if (frame.bits & (Bit.stop | Bit.pong)) continue;
    await busy;
    if (frame.flags & Flag.control) {
      if (stopIn(frame)) return true;
      await shakeHands(relay);
      continue;
    }
    const current = turn = new Turn(relay, pings, requestIn(frame));
    busy = answer(current, work).finally(() => {
      if (turn === current) turn = undefined;
    });
    // Looked at before the next request; the relay's own end may come first.
    busy.catch(() => {});
  }
}

async function answer(turn: Turn, work: (turn: Turn) => Promise<void>): Promise<void> {
  try {
    await work(turn);
    if (!turn.answered) throw new Error("the request was not answered");
  } catch (error) {
    if (turn.answered) throw error;
    await turn.fail(error);
  }
}

/** @returns true: stop; false: say your pid. @throws Error for anything else */
function stopIn(frame: Frame): boolean {
  const text = decoder.decode(frame.payload);
  const command: { stop?: unknown; pid?: unknown } = JSON.parse(text);
  if (command.stop) return true;
  if (command.pid) return false;
  throw new Error(`the supervisor commands "${text}", which is unknown`);
}

function shakeHands(relay: Relay): Promise<void> {
  const pid = new TextEncoder().encode(JSON.stringify({ pid: process.pid }));
  return relay.send(encode(Flag.control, 0, [], pid, NOTHING), false);
}

/** @throws Error when the lengths do not fit */
function requestIn(frame: Frame): { flags: number; context: Uint8Array; body: Uint8Array } {
  const [length] = frame.options;
  if (length === undefined || length > frame.payload.length) {
    const { options, payload } = frame;
    throw new Error(`a request with options [${options}] and ${payload.length} bytes`);
  }
  return {
    flags: frame.flags,
    context: frame.payload.subarray(0, length),
    body: frame.payload.subarray(length),
  };
}
