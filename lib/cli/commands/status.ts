/** `status`: everything the daemon knows, as tables. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { statusText } from "../render/status.ts";
import { show, WATCH } from "../watch.ts";

export const status: Command = {
  name: "status",
  about: "show releases, processes, leases and what is going on",
  options: [WATCH],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the daemon ended while it was watched",
  },
  examples: ["supervisor status", "supervisor status --watch", "supervisor status --json | jq ."],
  async run(call) {
    const client = await call.client();
    const { out: { voice }, clock } = call;
    await show(call, {
      look: () => client.status(),
      text: (status) => statusText(status, clock.wall(), voice.paint),
    });
    return Exit.done;
  },
};
