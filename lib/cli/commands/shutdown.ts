/** `shutdown`: ends the daemon and everything it runs. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";

export const shutdown: Command = {
  name: "shutdown",
  about: "drain and stop everything, then end the daemon",
  options: [],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the daemon ended, but something could not be stopped",
  },
  examples: ["supervisor shutdown"],
  async run({ out, client }) {
    const result = await (await client()).shutdown();
    await out.result(result, () => `${result.message}\n`);
    return Exit.done;
  },
};
