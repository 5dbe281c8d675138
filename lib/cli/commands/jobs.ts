/** `jobs list`, `stat`, `pause`, `resume`: the pipelines. */

import type { FlowResult, JobsOperations } from "../../control/jobs.ts";
import { Exit, type ExitCode } from "../../core/failure.ts";
import { type Argument, type Call, CLIENT_EXITS, type Command } from "../command.ts";
import { countsText, flowText, pipelinesText } from "../render/jobs.ts";
import { show, WATCH } from "../watch.ts";

/** The one of all. */
export const PIPELINE: Argument = {
  name: "PIPELINE",
  about: "the pipeline",
  names: ["pipeline"],
};

const NO_PIPELINE = "there is no such pipeline";

export const jobsList: Command = {
  name: "jobs list",
  about: "show the pipelines of jobs: state, and how many jobs wait, run and are dead letters",
  options: [WATCH],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "there are no pipelines, or the daemon ended while they were watched",
  },
  examples: ["supervisor jobs list", "supervisor jobs list --watch"],
  async run(call) {
    const { jobs } = await call.client();
    const { paint } = call.out.voice;
    await show(call, {
      look: () => jobs.pipelines({}),
      text: (seen) => pipelinesText(seen, call.clock.wall(), paint),
    });
    return Exit.done;
  },
};

export const jobsStat: Command = {
  name: "jobs stat",
  about: "show what became of jobs since the daemon came up",
  arguments: [{ ...PIPELINE, about: "only this pipeline", optional: true }],
  options: [WATCH],
  exits: { ...CLIENT_EXITS, [Exit.failed]: `${NO_PIPELINE}, or none at all` },
  examples: ["supervisor jobs stat", "supervisor jobs stat mail --json"],
  async run(call) {
    const { jobs } = await call.client();
    const [pipeline] = call.arguments;
    const { paint } = call.out.voice;
    await show(call, {
      look: () => jobs.pipelines({ pipeline }),
      text: (seen) => countsText(seen, paint),
    });
    return Exit.done;
  },
};

export const jobsPause: Command = {
  name: "jobs pause",
  about: "give no more jobs of a pipeline to workers; pushes go on",
  arguments: [PIPELINE],
  options: [],
  exits: { ...CLIENT_EXITS, [Exit.failed]: NO_PIPELINE },
  examples: ["supervisor jobs pause mail"],
  run: (call) => turn(call, (jobs, pipeline) => jobs.pause({ pipeline })),
};

export const jobsResume: Command = {
  name: "jobs resume",
  about: "give jobs of a pipeline to workers again",
  arguments: [PIPELINE],
  options: [],
  exits: { ...CLIENT_EXITS, [Exit.failed]: NO_PIPELINE },
  examples: ["supervisor jobs resume mail"],
  run: (call) => turn(call, (jobs, pipeline) => jobs.resume({ pipeline })),
};

async function turn(
  { arguments: [pipeline], client, out }: Call,
  how: (jobs: JobsOperations, pipeline: string) => Promise<FlowResult>,
): Promise<ExitCode> {
  const result = await how((await client()).jobs, pipeline);
  await out.result(result, () => flowText(result));
  return Exit.done;
}
