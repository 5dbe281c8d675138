/** `logs`: what the processes print. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { logText } from "../render/records.ts";
import { show } from "../stream.ts";

/** Lines shown when neither --lines nor --since is given. */
const LINES = 50;

export const logs: Command = {
  name: "logs",
  about: "show what the processes printed",
  argumentMeans: "process",
  options: [
    { name: "follow", short: "f", kind: "flag", about: "go on with what comes, until Ctrl-C" },
    {
      name: "process",
      kind: "text",
      value: "ID",
      about: "one process with all copies, or one copy",
    },
    {
      name: "lines",
      kind: "count",
      value: "N",
      about: `at most the last N lines (default: ${LINES}; with --since all)`,
    },
    {
      name: "since",
      kind: "moment",
      value: "TIME",
      about: "only later lines: 10m ago, or a date such as 2030-01-31T12:00:00Z",
    },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the daemon ended, or there is no such process",
  },
  examples: ["supervisor logs -f", "supervisor logs --process web --since 10m"],
  async run(call) {
    const { values } = call;
    const since = values.moment("since");
    const follow = values.flag("follow");
    const query = {
      process: values.text("process"),
      lines: values.count("lines") ?? (since === undefined ? LINES : undefined),
      since,
      follow,
    };
    const client = await call.client();
    const render = logText(call.out.voice.paint);
    return await show(call, follow, (signal) => client.logs(query, signal), render);
  },
};
