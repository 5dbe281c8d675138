/** `recover`: what a crashed daemon left running, and with --force its end. */

import { Exit } from "../../core/failure.ts";
import type { Left } from "../../daemon/recover.ts";
import type { Call, Command } from "../command.ts";
import { homeOf } from "../place.ts";
import { count } from "../render/amount.ts";
import { treeText } from "../render/left.ts";

/** Time between SIGTERM and SIGKILL when the configuration does not tell, milliseconds. */
const GRACE = 10_000;

export const recover: Command = {
  name: "recover",
  about: "show what a crashed daemon left running; with --force stop it",
  options: [{
    name: "force",
    kind: "flag",
    about: "stop them, whole groups: SIGTERM, then SIGKILL after proxy.force_stop_timeout",
  }],
  exits: {
    [Exit.failed]: "the process book cannot be read, or something does not stop",
    [Exit.config]: "no configuration says where the state is",
    [Exit.running]: "a daemon is alive: its programs are its own",
  },
  examples: ["supervisor recover", "supervisor recover --force"],
  async run(call) {
    const { paths } = homeOf(await call.place(), "to find what was left");
    const { findLeft, recover } = await import("../../daemon/recover.ts");
    const { realSystem } = await import("../../os/real.ts");
    const machine = realSystem();
    try {
      if (call.values.flag("force")) {
        const stopped = await recover(paths, machine, await graceOf(call));
        await tell(call, [], stopped);
      } else await tell(call, findLeft(paths, machine), []);
      return Exit.done;
    } finally {
      machine[Symbol.dispose]();
    }
  },
};

async function tell({ out }: Call, found: Left[], stopped: Left[]): Promise<void> {
  await out.result({ status: "success", found, stopped }, () => {
    if (stopped.length > 0) return `stopped ${count(stopped.length, "program")}:\n${text(stopped)}`;
    if (found.length === 0) return "nothing was left running\n";
    return `${text(found)}stop them with \`supervisor recover --force\`\n`;
  });
}

function text(left: Left[]): string {
  return left.map(({ process, release_id, pid, members }) => {
    const release = release_id === null ? "" : `, release ${release_id}`;
    return treeText(`${process} (pid ${pid}${release})`, members);
  }).join("");
}

/** What the configuration says; a broken one does not stop anybody at night. */
async function graceOf(call: Call): Promise<number> {
  const { request } = homeOf(await call.place());
  const { read } = await import("../../config/mod.ts");
  const { sections } = await import("../../../plugins/registry.ts");
  const { config } = await read(request, sections());
  return config?.proxy?.force_stop_timeout ?? GRACE;
}
