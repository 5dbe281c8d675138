/**
 * Not for people: the names that a running daemon has, one a line, for completion.
 *
 * Invariant: never waits long, because somebody sits at the keyboard; an answer that does not come
 * in time is an error, which the scripts do not show.
 */

import { within } from "../../core/clock.ts";
import { Exit, Failure } from "../../core/failure.ts";
import type { PoolSnapshot } from "../../pool/types.ts";
import type { ControlClient } from "../../control/client.ts";
import type { Status } from "../../control/operations.ts";
import { CLIENT_EXITS, type Command, type Named } from "../command.ts";
import { GLOBAL_OPTIONS } from "../options.ts";
import { parse } from "../parse.ts";
import { placeOf } from "../place.ts";

/** Its name. */
export const NAMES = "__names";

/** How long the daemon may take, milliseconds. */
const LIMIT = 1_000;

export const names: Command = {
  name: NAMES,
  about: "print names that a running daemon has, for completion",
  arguments: [
    { name: "KINDS", about: "which, with commas: process, pool, release, pipeline" },
    {
      name: "LINE",
      about: "what was typed, a word a line: it may say where the daemon is",
      optional: true,
    },
  ],
  options: [],
  exits: { ...CLIENT_EXITS, [Exit.failed]: "the daemon does not answer in time" },
  examples: [`supervisor ${NAMES} process,pool -- "$line"`],
  async run({ arguments: [kinds, line = ""], out, clock, cwd, env }) {
    const { values } = parse(whereabouts(line.split("\n")), [], () => clock.wall());
    const { resolve } = await import("@std/path");
    const there = resolve(cwd, values.text("workdir") ?? ".");
    const { socket } = await placeOf(values, there, env);
    const { ControlClient } = await import("../../control/client.ts");
    const client = new ControlClient(socket, clock);
    const answer = await within(clock, LIMIT, namesOf(client, kinds.split(",") as Named[]));
    if (!answer.done) {
      throw new Failure(`the daemon at ${socket} did not answer within ${LIMIT} ms`, {
        exit: Exit.failed,
      });
    }
    await out.data([...new Set(answer.value)].map((name) => `${name}\n`).join(""));
    return Exit.done;
  },
};

/** Of the words of an unfinished command line: the options that say where the daemon is. */
export function whereabouts(words: readonly string[]): string[] {
  const found: string[] = [];
  const valued = GLOBAL_OPTIONS.filter(({ kind }) => kind !== "flag");
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const option = valued.find(({ name, short }) => word === `--${name}` || word === `-${short}`);
    if (option !== undefined) {
      // bash takes "--config=FILE" apart into three words.
      if (words[i + 1] === "=") i++;
      const value = words[++i];
      if (value !== undefined && value !== "") found.push(`--${option.name}`, value);
    } else if (valued.some(({ name }) => word.startsWith(`--${name}=`))) {
      found.push(word);
    }
  }
  return found;
}

async function namesOf(client: ControlClient, kinds: readonly Named[]): Promise<string[]> {
  const found: string[] = [];
  for (const kind of kinds) {
    if (kind === "pipeline") {
      // Without the section there is nobody to be asked for them.
      if (!(await client.status()).intakes.some(({ name }) => name === "jobs")) continue;
      const { pipelines } = await client.jobs.pipelines({});
      found.push(...pipelines.map(({ pipeline }) => pipeline));
    } else found.push(...namesIn(await client.status(), kind));
  }
  return found;
}

function namesIn(status: Status, kind: Exclude<Named, "pipeline">): string[] {
  const { releases, services, singletons } = status;
  switch (kind) {
    case "process":
      return [
        ...releases.flatMap(({ processes }) => processes),
        ...[...services, ...singletons].map(({ process }) => process),
      ].flatMap(({ id, process_id }) => [process_id, id]);
    case "pool":
      return releases.flatMap(({ pools }) => pools)
        .flatMap(({ plugin, pool }: PoolSnapshot) => [plugin, pool]);
    case "release":
      return releases.map(({ release_id }) => release_id);
  }
}
