/** `jobs dead`, `retry`, `drop`: jobs that were given up, and are kept. */

import type { LettersRequest } from "../../control/jobs.ts";
import { Exit, type ExitCode, Failure } from "../../core/failure.ts";
import { type Argument, type Call, CLIENT_EXITS, type Command, type Option } from "../command.ts";
import { count } from "../render/amount.ts";
import { lettersText, letterText } from "../render/jobs.ts";
import { harmless } from "../render/paint.ts";
import { PIPELINE } from "./jobs.ts";

const NO_LETTER = "there is no such pipeline or dead letter";

/** Which dead letters something is done with. */
const WHICH: readonly Argument[] = [
  {
    ...PIPELINE,
    about: "the pipeline; may be left out when only one has a dead letter with the ID",
    optional: true,
  },
  { name: "ID", about: "the dead letter", optional: true },
];

const ALL: Option = { name: "all", kind: "flag", about: "all that the pipeline has now" };

export const jobsDead: Command = {
  name: "jobs dead",
  about: "show the dead letters of a pipeline, oldest first, or one with its payload",
  arguments: [
    PIPELINE,
    { name: "ID", about: "one of them: error, headers and payload", optional: true },
  ],
  options: [
    { name: "lines", kind: "count", value: "N", about: "at most N of them (default: 50)" },
    { name: "after", kind: "text", value: "ID", about: "only those after this one" },
    {
      name: "bytes",
      kind: "count",
      value: "N",
      about: "with ID: at most N bytes of the payload (default: 4096)",
    },
  ],
  exits: { ...CLIENT_EXITS, [Exit.failed]: NO_LETTER },
  examples: [
    "supervisor jobs dead mail",
    "supervisor jobs dead mail 6fd0a3f6-7f5a-4d5c-9c0e-2f8a3c1f1f55",
  ],
  async run(call) {
    const { values, arguments: [pipeline, id], client, out, clock } = call;
    const { jobs } = await client();
    const { paint } = out.voice;
    if (id !== undefined) {
      refuse(call, ["lines", "after"], "an ID");
      const letter = await jobs.letter({ pipeline, id, bytes: values.count("bytes") });
      await out.result(letter, () => letterText(letter, clock.wall(), paint));
      return Exit.done;
    }
    refuse(call, ["bytes"], "no ID");
    const lines = values.count("lines");
    const found = await jobs.dead({ pipeline, lines, after: values.text("after") });
    await out.result(found, () => lettersText(found, clock.wall(), paint));
    const last = found.letters.at(-1);
    if (found.more && last !== undefined) {
      await out.talk(`there are more: add --after '${harmless(last.id)}'\n`);
    }
    return Exit.done;
  },
};

export const jobsRetry: Command = {
  name: "jobs retry",
  about: "put dead letters back among the waiting jobs, as if they had never been tried",
  arguments: WHICH,
  options: [ALL],
  exits: { ...CLIENT_EXITS, [Exit.failed]: NO_LETTER },
  examples: ["supervisor jobs retry mail 6fd0a3f6", "supervisor jobs retry mail --all"],
  run: (call) => settle(call, "retry", "waiting again"),
};

export const jobsDrop: Command = {
  name: "jobs drop",
  about: "remove dead letters for good",
  arguments: WHICH,
  options: [ALL],
  exits: { ...CLIENT_EXITS, [Exit.failed]: NO_LETTER },
  examples: ["supervisor jobs drop mail 6fd0a3f6", "supervisor jobs drop mail --all"],
  run: (call) => settle(call, "drop", "gone for good"),
};

/** Options that make no sense now. @throws Failure when one is there */
function refuse({ values }: Call, names: readonly string[], now: string): void {
  const given = names.find((name) => values.has(name));
  if (given === undefined) return;
  throw new Failure(`--${given} makes no sense with ${now}`, {
    exit: Exit.usage,
    fix: `leave --${given} out, or see supervisor jobs dead --help`,
  });
}

async function settle(
  { values, arguments: words, client, out }: Call,
  how: "retry" | "drop",
  now: string,
): Promise<ExitCode> {
  const request = whichOf(words, values.flag("all"), how);
  const result = await (await client()).jobs[how](request);
  await out.result(result, () => {
    const { pipeline } = result;
    const verb = result.count === 1 ? "is" : "are";
    return `${count(result.count, "dead letter")} of ${harmless(pipeline)} ${verb} ${now}\n`;
  });
  return Exit.done;
}

/** @throws Failure when neither an id nor --all with a pipeline is given */
function whichOf(words: readonly string[], all: boolean, how: string): LettersRequest {
  const fail = (what: string) =>
    new Failure(`jobs ${how} ${what}`, {
      exit: Exit.usage,
      fix: `supervisor jobs ${how} PIPELINE ID, or supervisor jobs ${how} PIPELINE --all`,
    });
  const [first, second] = words;
  if (all && first === undefined) throw fail("--all needs a pipeline");
  if (all && second !== undefined) {
    throw fail(`takes --all or an ID, and was given "${second}" too`);
  }
  if (all) return { pipeline: first, all };
  if (first === undefined) throw fail("needs the ID of a dead letter, or a pipeline with --all");
  return second === undefined ? { id: first } : { pipeline: first, id: second };
}
