/**
 * Rules about the file as a whole: version, something to run, one proxied process, paths, takeover.
 *
 * Invariant: each is told once, at the key that has to change.
 */

import { nearest } from "../../core/suggest.ts";
import { error, type Problem, warning } from "../problem.ts";
import { WORKER_SECTIONS } from "../sections.ts";
import { find, type Path } from "../tree.ts";
import { isWritten, type RuleContext } from "./context.ts";
import { MAX_SOCKET_PATH, socketPathBytes } from "./socket_path.ts";

/** Processes one daemon runs. */
export const MAX_PROCESSES = 1000;

/** Keys of `legacy_takeover` that name something to stop. */
const TAKEN_OVER = ["screens", "supervisord", "pm2", "processes"] as const;

/** All rules about the file as a whole. */
export function fileRules(context: RuleContext): Problem[] {
  const { config, declared } = context;
  const problems: Problem[] = [];
  if (!/^3(?:\.\d+)*$/.test(config.version)) {
    const shown = JSON.stringify(config.version);
    const older = /^[12](?:\.\d+)*$/.test(config.version);
    const fix = 'write version: "3"';
    problems.push(
      older
        ? warning(["version"], `version ${shown} is an older format, read as "3"`, fix)
        : error(["version"], `version must be "3", got ${shown}`, fix),
    );
  }
  if (declared.length > MAX_PROCESSES) {
    const message =
      `there are ${declared.length} processes, more than the ${MAX_PROCESSES} allowed`;
    problems.push(error(["processes"], message, "use replicas, or a second daemon", "key"));
  }
  const works = WORKER_SECTIONS.some((name) => find(context.written, [name]) !== undefined);
  const processesAreMap = find(context.written, ["processes"])?.kind === "table" ||
    !isWritten(context, ["processes"]);
  if (declared.length === 0 && !works && processesAreMap && !isMisspelled(context)) {
    const fix = "add `processes:` with at least one process, e.g. `web:` with a command";
    problems.push(error(["processes"], "there is nothing to run", fix, "key"));
  }
  const proxied = config.processes.filter((process) => process.policy === "proxied");
  for (const { id } of proxied.slice(1)) {
    const message = `processes.${id} is a second proxied process beside ${proxied[0].id}`;
    const fix = "make it a companion; for several copies of one program use replicas";
    problems.push(error(["processes", id, "policy"], message, fix));
  }
  const socket = config.control.socket;
  if (socket !== undefined && socketPathBytes(socket) > MAX_SOCKET_PATH) {
    const message =
      `control.socket is longer than the ${MAX_SOCKET_PATH} bytes a socket path may have`;
    problems.push(error(["control", "socket"], message, "use a shorter path"));
  }
  const legacy = config.legacy_takeover;
  if (legacy !== undefined && TAKEN_OVER.every((key) => legacy[key].length === 0)) {
    if (!TAKEN_OVER.some((key) => isFilled(context, ["legacy_takeover", key]))) {
      const message = "legacy_takeover names nothing to stop";
      const fix = `add ${TAKEN_OVER.join(", ")}, or remove it`;
      problems.push(error(["legacy_takeover"], message, fix, "key"));
    }
  }
  return problems;
}

/** Whether `processes` stands there as another word; that is told as an unknown key. */
function isMisspelled({ written }: RuleContext): boolean {
  const keys = written.kind === "table" ? [...written.entries.keys()] : [];
  return keys.some((key) => key !== "processes" && nearest(key, ["processes"]) !== undefined);
}

function isFilled({ written }: RuleContext, path: Path): boolean {
  const node = find(written, path);
  return node !== undefined && !(node.kind === "list" && node.items.length === 0);
}
