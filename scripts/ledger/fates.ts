/**
 * What a job of the ledger meets, by its id alone: worker and judge need not talk to each other.
 *
 * | fate                        | the worker                                       | in the end |
 * | --------------------------- | ------------------------------------------------ | ---------- |
 * | `ack`, `slow`               | says done, at once or after a moment             | done       |
 * | `again`                     | asks for it again, once, with and without delay  | done       |
 * | `error` `garbage` `broken`  | ERROR frame, nonsense, nonsense between frames,  | done       |
 * |                             | once                                             |            |
 * | `crash` `stall`             | is killed by itself, never answers: once         | done       |
 * | `refused`                   | says no                                          | dead       |
 * | `hopeless`                  | ERROR frame each time                            | dead       |
 *
 * Invariant: pure; the same seed and id give the same fate everywhere.
 */

import { Random } from "../../tests/kit/random.ts";

/** See the head of the file, with how many of 10,000 have it. What costs a worker its life is rare. */
const SHARES = {
  slow: 100,
  again: 400,
  error: 300,
  garbage: 100,
  broken: 10,
  crash: 30,
  stall: 10,
  refused: 200,
  hopeless: 50,
} as const;

const WHOLE = 10_000;

/** See the head of the file. */
export type Fate = "ack" | keyof typeof SHARES;

/** The fate of a job. */
export function fateOf(seed: number, id: string): Fate {
  let at = random(seed, id).int(0, WHOLE - 1);
  for (const [fate, share] of Object.entries(SHARES)) {
    if (at < share) return fate as Fate;
    at -= share;
  }
  return "ack";
}

/** Whether it belongs to the dead letters. */
export function isMadeToFail(fate: Fate): boolean {
  return fate === "refused" || fate === "hopeless";
}

/** Choices about a job, the same everywhere. */
export function random(seed: number, id: string): Random {
  let hash = seed;
  for (const letter of id) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  return new Random(hash);
}
