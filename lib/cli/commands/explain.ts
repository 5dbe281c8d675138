/** `explain`: why something is as it is, and what happened to it. */

import type { Explanation } from "../../control/operations.ts";
import { Exit, Failure } from "../../core/failure.ts";
import { type Call, CLIENT_EXITS, type Command } from "../command.ts";
import { explanationText } from "../render/explain.ts";

export const explain: Command = {
  name: "explain",
  about:
    "say why a process, pool, worker, release or pipeline is as it is, and what happened to it",
  arguments: [
    {
      name: "NAME",
      about: "a process, one copy (web#0), a pool, a worker (http#0), a release or a pipeline",
      names: ["process", "pool", "release", "pipeline"],
    },
  ],
  options: [],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "nothing of that name is or was there",
    [Exit.noDaemon]: "no daemon reachable, and none left a journal",
  },
  examples: ["supervisor explain web", "supervisor explain http --json | jq .subjects"],
  async run(call) {
    const { arguments: [name], out, client } = call;
    const explanation = await (await client()).explain({ name })
      .catch((error) => fromJournal(name, call, error));
    await out.result(explanation, () => explanationText(explanation, out.voice.paint));
    return Exit.done;
  },
};

/** What the last daemon wrote down, when there is none to be asked. */
async function fromJournal(name: string, { place, out }: Call, why: unknown): Promise<Explanation> {
  const { home } = await place();
  if (!(why instanceof Failure) || why.exit !== Exit.noDaemon || home === undefined) throw why;
  const { explainPast } = await import("../../daemon/explain_past.ts");
  const explanation = await explainPast(name, home.paths, why);
  if (explanation === undefined) throw why;
  await out.talk("no daemon answers: this is from its journal\n");
  return explanation;
}
