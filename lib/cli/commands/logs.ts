/** `logs`: what the processes print. */

import type { LogRecord } from "../../control/operations.ts";
import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { matching, SEARCHED, wantedOf } from "../grep.ts";
import { logJson, logText } from "../render/records.ts";
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
      names: ["process"],
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
    {
      name: "grep",
      kind: "text",
      value: "TEXT",
      about: "only lines with this text, or that match /PATTERN/ (i: whatever the case)",
    },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the daemon ended, or there is no such process",
  },
  examples: [
    "supervisor logs -f",
    "supervisor logs --process web --since 10m",
    "supervisor logs --grep '/time.?out/i'",
  ],
  async run(call) {
    const { values } = call;
    const since = values.moment("since");
    const follow = values.flag("follow");
    const lines = values.count("lines") ?? (since === undefined ? LINES : undefined);
    const grep = values.text("grep");
    const wanted = grep === undefined ? undefined : wantedOf(grep);
    const query = { process: values.text("process"), lines, since, follow };
    const client = await call.client();
    const open = (signal: AbortSignal): AsyncIterable<LogRecord> => {
      if (wanted === undefined) return client.logs(query, signal);
      if ("text" in wanted) return client.logs({ ...query, grep: wanted.text }, signal);
      const searched = { ...query, lines: since === undefined ? SEARCHED : undefined };
      const matches = ({ line }: LogRecord) => wanted.pattern.test(line);
      return matching(client.logs(searched, signal), matches, follow ? undefined : lines);
    };
    return await show(call, follow, open, logText(call.out.voice.paint), logJson);
  },
};
