/**
 * `explain` when no daemon answers: from the journal that it left on disk.
 *
 * | the journal            | what the caller gets                                             |
 * | ---------------------- | ---------------------------------------------------------------- |
 * | tells of the name      | an explanation that begins with why there is no better one       |
 * | tells only of others   | Failure, exit 1: which names it knows                            |
 * | is not there           | undefined: the caller has only its own reason                    |
 * | cannot be read         | Failure, exit 4: why there is no daemon, and no journal          |
 *
 * Invariant: nothing is written, and nothing is said of what runs now.
 */

import { join } from "@std/path";
import type { Explanation, Subject } from "../control/operations.ts";
import { Exit, Failure, messageOf } from "../core/failure.ts";
import { nearest } from "../core/suggest.ts";
import type { EventRecord } from "../telemetry/events.ts";
import { linesOnDisk } from "../telemetry/journal_lines.ts";
import { EXPLAINED_EVENTS, isAbout, NAMES, story } from "./explain.ts";
import { endings } from "./explain_process.ts";
import { JOURNAL, type Paths } from "./paths.ts";

/** Names of a journal that are kept for a suggestion. */
const KNOWN_NAMES = 200;

/** Names shown when there is none of that name. */
const SHOWN_NAMES = 20;

/** @param why what came of asking the daemon */
export async function explainPast(
  name: string,
  { state_dir }: Paths,
  why: Failure,
): Promise<Explanation | undefined> {
  const path = join(state_dir, JOURNAL);
  const names = new Set<string>();
  const about = isAbout(name);
  const wanted = (record: EventRecord) => {
    for (const found of namesIn(record)) if (names.size < KNOWN_NAMES) names.add(found);
    return about(record);
  };
  const events = await linesOnDisk(path, { limit: EXPLAINED_EVENTS, wanted }).catch((error) => {
    throw new Failure(`${why.message}; and ${messageOf(error)}`, {
      exit: Exit.noDaemon,
      fix: error instanceof Failure ? error.fix : why.fix,
      cause: error,
    });
  });
  if (events === undefined) return undefined;
  const last = events.findLast((record) => namesIn(record).length > 0);
  if (last === undefined) throw unknown(name, path, [...names], why);
  return { name, journal: path, subjects: [subjectOf(name, path, events, last, why)] };
}

function subjectOf(
  name: string,
  path: string,
  events: readonly EventRecord[],
  last: EventRecord,
  why: Failure,
): Subject {
  const { release } = last.data;
  return {
    kind: NAMES.find((fact) => last.data[fact] === name) ?? "process",
    id: name,
    release_id: typeof release === "string" ? release : null,
    state: "gone",
    because: [`${why.message}; this is what "${path}" tells, until ${last.at}`, ...endings(events)],
    ...story(events, () => true),
    output: [],
  };
}

/** What an event is about. */
function namesIn({ data }: EventRecord): string[] {
  return NAMES.map((fact) => data[fact]).filter((name) => typeof name === "string");
}

function unknown(name: string, path: string, names: string[], why: Failure): Failure {
  const near = nearest(name, names);
  const more = names.length > SHOWN_NAMES ? ", …" : "";
  const known = names.length === 0 ? "nothing" : names.slice(0, SHOWN_NAMES).join(", ") + more;
  return new Failure(
    `there is no event of a process, pool, worker, release or pipeline "${name}" in "${path}", and ` +
      why.message,
    { fix: near !== undefined ? `did you mean "${near}"?` : `it tells of: ${known}` },
  );
}
