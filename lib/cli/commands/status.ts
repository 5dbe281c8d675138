/** `status`: everything the daemon knows, as tables. */

import { sleep } from "../../core/clock.ts";
import { Exit } from "../../core/failure.ts";
import { type Call, CLIENT_EXITS, type Command, interrupted } from "../command.ts";
import { statusText } from "../render/status.ts";

/** Between two looks of --watch, milliseconds. */
const WATCH_INTERVAL = 1000;

/** Goes to the upper left corner and clears what is below. */
const HOME = "\x1b[H\x1b[J";

export const status: Command = {
  name: "status",
  about: "show releases, processes, leases and what is going on",
  options: [
    { name: "watch", kind: "flag", about: "show it again every second, until Ctrl-C" },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the daemon ended while it was watched",
  },
  examples: ["supervisor status", "supervisor status --watch", "supervisor status --json | jq ."],
  async run(call) {
    const client = await call.client();
    const show = async (before: string) => {
      const status = await client.status();
      const render = () => before + statusText(status, call.clock.wall(), call.out.voice.paint);
      await call.out.result(status, render);
    };
    if (!call.values.flag("watch")) await show("");
    else await watch(call, show);
    return Exit.done;
  },
};

async function watch(call: Call, show: (before: string) => Promise<void>): Promise<void> {
  const { out, clock } = call;
  const end = AbortSignal.any([call.interrupt(), out.gone]);
  const before = out.voice.terminal ? HOME : "";
  while (!end.aborted) {
    await show(before);
    await sleep(clock, WATCH_INTERVAL, end).catch((error) => {
      // Ctrl-C and a reader that has gone are how a watch ends.
      if (error !== interrupted && !out.gone.aborted) throw error;
    });
  }
}
