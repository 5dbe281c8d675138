/**
 * Questions to a person at a terminal.
 *
 * Invariant: asked on stderr, so that stdout stays data; an answer that cannot be is asked for again,
 * and the end of the input ends the questions.
 */

import { Exit, Failure } from "../core/failure.ts";
import { Refusal } from "../config/names.ts";
import type { Output } from "./output.ts";

/** Longest answer, bytes. */
const MAX_ANSWER = 4096;

/** Makes a value of an answer, or says why it is none. */
export type ReadAnswer = (answer: string) => string | Refusal;

/** True when somebody is there to be asked. */
export function canAsk(out: Output): boolean {
  return !out.json && Deno.stdin.isTerminal();
}

/** @param standard what an empty answer means. @throws Failure when there is no answer */
export async function ask(
  out: Output,
  question: string,
  standard: string | undefined,
  read: ReadAnswer,
): Promise<string> {
  while (true) {
    await out.complain(standard === undefined ? `${question}: ` : `${question} [${standard}]: `);
    const answer = (await line()).trim() || standard;
    const value = answer === undefined ? new Refusal("is needed", "write it") : read(answer);
    if (!(value instanceof Refusal)) return value;
    await out.complain(`  ${value.message}; ${value.fix}\n`);
  }
}

async function line(): Promise<string> {
  const byte = new Uint8Array(1);
  const bytes: number[] = [];
  while (await Deno.stdin.read(byte) === 1) {
    if (byte[0] === 0x0a) return new TextDecoder().decode(new Uint8Array(bytes));
    if (bytes.length === MAX_ANSWER) break;
    bytes.push(byte[0]);
  }
  throw new Failure("the questions ended without an answer; nothing was written", {
    exit: Exit.usage,
    fix: "answer them, or give the answers as options: see supervisor init --help",
  });
}
