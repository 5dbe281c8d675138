/** `events`: what the daemon did and saw. */

import { Exit } from "../../core/failure.ts";
import { renderReadable } from "../../telemetry/render.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { colourful } from "../render/paint.ts";
import { show } from "../stream.ts";

/** Events shown when --limit is not given. */
const LIMIT = 50;

export const events: Command = {
  name: "events",
  about: "show what the daemon did and saw",
  options: [
    { name: "follow", short: "f", kind: "flag", about: "go on with what comes, until Ctrl-C" },
    {
      name: "limit",
      kind: "count",
      value: "N",
      about: `at most the last N events (default: ${LIMIT}; with --since all)`,
    },
    {
      name: "since",
      kind: "moment",
      value: "TIME",
      about: "only later events: 10m ago, or a date such as 2030-01-31T12:00:00Z",
    },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the daemon ended",
  },
  examples: ["supervisor events -f", "supervisor events --since 24h --json | jq ."],
  async run(call) {
    const follow = call.values.flag("follow");
    const since = call.values.moment("since");
    const limit = call.values.count("limit") ?? (since === undefined ? LIMIT : undefined);
    const query = { limit, since, follow };
    const client = await call.client();
    const render = renderReadable(call.out.voice.paint === colourful);
    return await show(call, follow, (signal) => client.events(query, signal), render);
  },
};
