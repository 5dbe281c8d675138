/**
 * Compares what was pushed with what was done.
 *
 * Invariant: every promise has its verdict, kept or not; nothing is excused but what an entry of
 * `disturbances` allows.
 */

import type { DeadLetter } from "../../lib/control/jobs.ts";
import { fateOf, isMadeToFail } from "./fates.ts";
import type { Disturbance } from "./operator.ts";
import { again, type Work } from "./records.ts";

/** A promise and what stands against it. */
export interface Verdict {
  promise: string;
  /** Empty: kept. */
  against: string[];
  note?: string;
}

/** What is compared. */
export interface Ledger {
  seed: number;
  confirmed: ReadonlySet<string>;
  /** Pushed, and nobody said whether it is stored. */
  unconfirmed: ReadonlySet<string>;
  works: ReadonlyMap<string, Work>;
  letters: readonly DeadLetter[];
  disturbances: readonly Disturbance[];
  /** Attempts after which a job is dead. */
  attempts: number;
  /** How long before a disturbance an acknowledgement may still be under way, milliseconds. */
  underway: number;
  /** How long before a disturbance a delivery that failed may have begun, milliseconds. */
  failing: number;
}

/** How many of the jobs that stand against a promise are named. */
const NAMED = 10;

/** @returns one verdict for each promise */
export function judge(ledger: Ledger): Verdict[] {
  return [
    processed(ledger),
    strangers(ledger),
    acknowledged(ledger),
    repeated(ledger),
    ...dead(ledger),
  ];
}

function processed({ confirmed, works }: Ledger): Verdict {
  const lost = [...confirmed].filter((id) => !works.has(id));
  const deliveries = [...works.values()].reduce((sum, { begun }) => sum + begun.length, 0);
  return {
    promise: "every job that was stored was processed",
    against: named("never seen by a worker", lost),
    note: `${confirmed.size} jobs, ${deliveries} deliveries`,
  };
}

function strangers({ confirmed, unconfirmed, works }: Ledger): Verdict {
  const unknown = [...works.keys()].filter((id) => !confirmed.has(id) && !unconfirmed.has(id));
  const stored = [...unconfirmed].filter((id) => works.has(id)).length;
  return {
    promise: "workers got no job that nobody pushed",
    against: named("never pushed", unknown),
    note: `${stored} of ${unconfirmed.size} were stored, and the confirmation was lost`,
  };
}

function acknowledged(ledger: Ledger): Verdict {
  const open = openOf(ledger).map((id) => `${id} (${fateOf(ledger.seed, id)})`);
  return { promise: "every job that can be done is done", against: named("not done", open) };
}

/** Jobs that can be done and are not. */
export function openOf(
  { seed, confirmed, works }: Pick<Ledger, "seed" | "confirmed" | "works">,
): string[] {
  return [...confirmed].filter((id) =>
    !isMadeToFail(fateOf(seed, id)) && !(works.get(id)?.done.length)
  );
}

/**
 * Each job that came again is laid to the disturbance that explains it, if there is one: its
 * acknowledgement was under way then, or it failed and was stored anew, and the old one stayed.
 */
function repeated({ works, disturbances, underway, failing }: Ledger): Verdict {
  const laid = new Map<Disturbance, string[]>();
  const against: string[] = [];
  let lead = 0;
  let count = 0;
  for (const [id, work] of works) {
    if (again(work) === 0) continue;
    count++;
    const done = Math.min(...work.done);
    const during = ({ from, to }: Disturbance, time: number, before: number) =>
      time >= from - before && time <= to;
    const acked = disturbances.find((one) => during(one, done, underway));
    const cause = acked ??
      disturbances.find((one) =>
        work.begun.some((begun) => begun < done && during(one, begun, failing))
      );
    if (acked !== undefined) lead = Math.max(lead, acked.from - done);
    if (cause === undefined) against.push(`${id}: done at ${done}, begun at ${work.begun}`);
    else laid.set(cause, [...laid.get(cause) ?? [], id]);
  }
  for (const [{ what, limit }, ids] of laid) {
    if (ids.length > limit) against.push(`${what}: ${ids.length} came again, at most ${limit} may`);
  }
  return {
    promise: "what was acknowledged did not come again, but what was under way in a disturbance",
    against: first(against),
    note: `${count} came again in ${disturbances.length} disturbances, ` +
      `done at most ${lead} ms before one`,
  };
}

function dead({ seed, confirmed, unconfirmed, works, letters, attempts }: Ledger): Verdict[] {
  const buried = new Set(letters.map(({ id }) => id));
  const fails = (id: string) => isMadeToFail(fateOf(seed, id));
  const missing = [...confirmed].filter((id) => fails(id) && !buried.has(id));
  const wrong = [...buried].filter((id) =>
    !fails(id) || !confirmed.has(id) && !unconfirmed.has(id)
  );
  const hopeless = letters.filter(({ id }) => fateOf(seed, id) === "hopeless");
  const early = hopeless.filter(({ id }) => (works.get(id)?.begun.length ?? 0) < attempts);
  return [
    {
      promise: "the dead letters are exactly the jobs that were made to fail",
      against: [
        ...named("not among them", missing),
        ...named("wrongly among them", wrong.map((id) => `${id} (${fateOf(seed, id)})`)),
      ],
      note: `${buried.size} jobs, ${letters.length - buried.size} of them twice`,
    },
    {
      promise: `what fails each time was tried ${attempts} times`,
      against: [
        ...named("given up too early", early.map(({ id }) => id)),
        ...named(
          "with another number",
          hopeless.filter((one) => one.attempts !== attempts)
            .map(({ id, attempts }) => `${id} (${attempts})`),
        ),
      ],
      note: `${hopeless.length} jobs`,
    },
  ];
}

function named(what: string, ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const more = ids.length > NAMED ? ", …" : "";
  return [`${ids.length} ${what}: ${ids.slice(0, NAMED).join(", ")}${more}`];
}

function first(lines: string[]): string[] {
  if (lines.length <= NAMED) return lines;
  return [...lines.slice(0, NAMED), `and ${lines.length - NAMED} more`];
}
