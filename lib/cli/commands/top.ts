/** `top`: processes and workers by what they use, again and again. */

import { Exit } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { untilQuit } from "../keys.ts";
import { type Look, type Order, ranked, type TopRow, topText } from "../render/top.ts";
import { again, once, type View } from "../watch.ts";

/** Lines of a terminal that are not rows: headings, and where the cursor rests. */
const AROUND = 2;

export const top: Command = {
  name: "top",
  about: "show processes and workers by CPU and memory, every second until q or Ctrl-C",
  options: [
    {
      name: "sort",
      kind: "text",
      value: "BY",
      values: ["cpu", "memory"],
      about: "what comes first (default: cpu)",
    },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "the daemon ended while it was watched",
  },
  examples: ["supervisor top", "supervisor top --sort memory | head"],
  async run(call) {
    const client = await call.client();
    const { out: { voice }, clock } = call;
    const order = (call.values.text("sort") ?? "cpu") as Order;
    let before: Look | undefined;
    const view: View<TopRow[]> = {
      async look() {
        const [status, { workers }] = [await client.status(), await client.workers({})];
        const now: Look = { at: clock.now(), status, workers };
        const rows = ranked(now, before, order);
        before = now;
        return rows;
      },
      text: (rows) => topText(voice.terminal ? rows.slice(0, roomFor()) : rows, voice.paint),
    };
    // In a pipe or a file nobody can look at it again.
    if (!voice.terminal || voice.json) await once(call, view, "");
    else await untilQuit(call.interrupt(), (enough) => again(call, view, enough));
    return Exit.done;
  },
};

function roomFor(): number {
  return Math.max(1, Deno.consoleSize().rows - AROUND);
}
