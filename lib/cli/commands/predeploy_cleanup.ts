/** `predeploy-cleanup`: stops what an earlier setup and a crashed daemon left, before the first deploy. */

import { Exit } from "../../core/failure.ts";
import type { Cleanup } from "../../daemon/predeploy.ts";
import type { LegacyProcess } from "../../release/takeover.ts";
import type { Command } from "../command.ts";
import { homeOf } from "../place.ts";
import { releaseDir } from "../release_dir.ts";
import { count } from "../render/amount.ts";
import { treeText } from "../render/left.ts";
import { harmless } from "../render/paint.ts";

export const predeployCleanup: Command = {
  name: "predeploy-cleanup",
  about: "stop what an earlier setup left running, unless a release of ours is live",
  options: [
    {
      name: "release-path",
      kind: "path",
      value: "DIR",
      about: "the release to come; says so when its ./supervisor is another version",
    },
    {
      name: "stop-daemon",
      kind: "flag",
      about: "shut down a daemon that has no live release here",
    },
    { name: "dry-run", kind: "flag", about: "stop nothing; show what would be stopped" },
  ],
  exits: {
    [Exit.failed]: "something does not stop; it is named",
    [Exit.config]: "the configuration is invalid",
    [Exit.noDaemon]: "a daemon is there, but does not answer or may not be asked",
    [Exit.running]: "a daemon lives: without a live release here, or of another application",
  },
  examples: [
    "supervisor predeploy-cleanup --dry-run",
    "supervisor predeploy-cleanup --release-path releases/v1",
  ],
  async run(call) {
    const { values, out, cwd } = call;
    const { paths, request } = homeOf(await call.place(), "to clean up");
    const given = values.text("release-path");
    const release_path = given === undefined ? undefined : await releaseDir(cwd, given);
    const { readOrFail } = await import("../../config/mod.ts");
    const { sections } = await import("../../../plugins/registry.ts");
    const { cleanUp } = await import("../../daemon/predeploy.ts");
    const { realSystem } = await import("../../os/real.ts");
    const config = await readOrFail(request, sections());
    const client = await call.client();
    const machine = realSystem();
    try {
      const [stop_daemon, dry_run] = [values.flag("stop-daemon"), values.flag("dry-run")];
      const cleanup = await cleanUp({
        ...{ config, paths, machine, client, release_path, stop_daemon, dry_run },
        env: request.env,
      });
      await out.result({ status: "success", ...cleanup }, () => text(cleanup));
      return Exit.done;
    } finally {
      machine[Symbol.dispose]();
    }
  },
};

function text({ dry_run, daemon, other_version, leftovers, taken_over }: Cleanup): string {
  const { keepers, screens, processes } = taken_over;
  const stopped = dry_run ? "would stop" : "stopped";
  const lines: string[] = [];
  if (other_version !== undefined) {
    lines.push(`the release brings another version of supervisor: ${harmless(other_version)}`);
  }
  if (daemon === "active") return [...lines, "a release is live: nothing to clean up\n"].join("\n");
  lines.push(daemon === "none" ? "no daemon was running" : `${stopped} the daemon`);
  for (const { process, pid, members } of leftovers) {
    lines.push(treeText(`${stopped} ${process} (pid ${pid}), left by a daemon`, members).trimEnd());
  }
  for (const { keeper, program, result } of keepers) {
    lines.push(`${keeper} ${harmless(program)}: ${harmless(result)}`);
  }
  for (const { name, pid, spared } of screens) {
    const what = spared ? "left alone, for this command runs inside" : `${stopped} it`;
    lines.push(`screen ${harmless(name)} (pid ${pid}): ${what}`);
  }
  if (processes.length > 0) {
    lines.push(`${stopped} ${count(processes.length, "legacy process", "legacy processes")}:`);
    lines.push(...processes.map(processLine));
  } else lines.push("no legacy processes were running");
  return `${lines.join("\n")}\n`;
}

function processLine({ name, pid, depth, command }: LegacyProcess): string {
  return `${"  ".repeat(depth + 1)}${pid} ${harmless(command)} (${harmless(name)})`;
}
