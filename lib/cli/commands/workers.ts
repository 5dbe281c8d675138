/** `workers`: what every worker is doing right now. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { workersText } from "../render/workers.ts";
import { show, WATCH } from "../watch.ts";

export const workers: Command = {
  name: "workers",
  about: "show what every worker is doing right now",
  arguments: [
    {
      name: "PLUGIN",
      about: "only this plugin (jobs) or pool (jobs.mail)",
      optional: true,
      names: ["pool"],
    },
  ],
  options: [WATCH],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "there is no such pool, or the daemon ended while it was watched",
  },
  examples: ["supervisor workers", "supervisor workers http --watch"],
  async run(call) {
    const client = await call.client();
    const [plugin] = call.arguments;
    await show(call, {
      look: () => client.workers({ plugin }),
      text: (seen) => workersText(seen, call.out.voice.paint),
    });
    return Exit.done;
  },
};
