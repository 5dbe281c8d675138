/** `explain`: why something is as it is, and what happened to it. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { explanationText } from "../render/explain.ts";

export const explain: Command = {
  name: "explain",
  about: "say why a process, pool, worker or release is as it is, and what happened to it",
  arguments: [
    {
      name: "NAME",
      about: "a process, one copy (web#0), a pool, a worker (http#0) or a release",
      names: ["process", "pool", "release"],
    },
  ],
  options: [],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "nothing of that name is or was there",
  },
  examples: ["supervisor explain web", "supervisor explain http --json | jq .subjects"],
  async run({ arguments: [name], out, client }) {
    const explanation = await (await client()).explain({ name });
    await out.result(explanation, () => explanationText(explanation, out.voice.paint));
    return Exit.done;
  },
};
