/**
 * The worker of the ledger: does with each job what its fate says, and writes down what it does.
 *
 * Invariant: a line is in the file (one for each worker, appended) before what it tells of happens;
 * a job is `done` there only when the very next thing is the answer that says so.
 *
 * Environment: LEDGER_SEED, LEDGER_RECORDS (a directory), LEDGER_PACE (milliseconds for a job, on
 * average).
 */

import { writeSync } from "node:fs";
import { run } from "../../worker/run.ts";
import type { Turn } from "../../worker/turn.ts";
import { fateOf, random } from "./fates.ts";

const seed = Number(Deno.env.get("LEDGER_SEED"));
const pace = Number(Deno.env.get("LEDGER_PACE"));
const records = Deno.env.get("LEDGER_RECORDS")!;
const file = Deno.openSync(`${records}/${Deno.pid}`, { append: true, create: true });
const encoder = new TextEncoder();
const NOTHING = new Uint8Array(0);

/** What a slow job takes more than others, times the pace. */
const SLOW = 10;

function note(what: "begun" | "done", id: string): void {
  file.writeSync(encoder.encode(`${what} ${id} ${Date.now()}\n`));
}

/** True the first time somebody asks this about a job; whoever is killed right after it has asked. */
function isFirst(id: string): boolean {
  try {
    Deno.openSync(`${records}/once/${id}`, { write: true, createNew: true }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

function answer(turn: Turn, outcome: unknown): Promise<void> {
  const text = typeof outcome === "string" ? outcome : JSON.stringify(outcome);
  return turn.answer(0, NOTHING, encoder.encode(text));
}

function done(turn: Turn, id: string): Promise<void> {
  note("done", id);
  return answer(turn, { type: random(seed, `${id} type`).pick([0, 0, 2]), data: [] });
}

/** Never: it is killed for it. */
const forever = () => new Promise<never>(() => setInterval(() => {}, 1 << 30));

async function work(turn: Turn): Promise<void> {
  const { id } = JSON.parse(new TextDecoder().decode(turn.context)) as { id: string };
  const fate = fateOf(seed, id);
  note("begun", id);
  const choice = random(seed, `${id} choice`);
  const time = choice.next() * 2 * pace * (fate === "slow" ? SLOW : 1);
  await new Promise((then) => setTimeout(then, time));
  if (fate === "ack" || fate === "slow") return await done(turn, id);
  if (fate === "refused") {
    const data = { message: "it shall not be", requeue: false, delay_seconds: 0 };
    return await answer(turn, { type: choice.pick([1, 3]), data });
  }
  if (fate === "hopeless") throw new Error("no hope");
  if (!isFirst(id)) return await done(turn, id);
  switch (fate) {
    case "again": {
      const data = { message: "once more", requeue: true, delay_seconds: choice.int(0, 1) };
      return await answer(turn, { type: choice.pick([1, 3, 4]), data });
    }
    case "error":
      throw new Error("this once");
    case "garbage":
      return await answer(turn, choice.pick(["", "nonsense", '{"type":7}', "[]"]));
    case "broken":
      writeSync(1, "Warning: this is no frame\n".repeat(10));
      return await forever();
    case "crash":
      Deno.kill(Deno.pid, "SIGKILL");
      return await forever();
    case "stall":
      return await forever();
  }
}

await run("jobs", work, {});
