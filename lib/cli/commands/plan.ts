/** `plan`: what reload would do. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { changesText } from "../render/changes.ts";

export const plan: Command = {
  name: "plan",
  about: "show what reload would change, and how; changes nothing",
  options: [],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the daemon could not tell",
    [Exit.config]: "the new configuration is invalid",
  },
  examples: ["supervisor plan", "supervisor plan --json | jq .changes"],
  async run({ out, client }) {
    const result = await (await client()).plan();
    await out.result(result, () => changesText(result, "planned", out.voice.paint));
    return Exit.done;
  },
};
