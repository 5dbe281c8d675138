/**
 * From a rollbridge configuration (its evaluated value) to ours.
 *
 * Invariant: what rollbridge itself would do with a value is what the new file says, its defaults
 * included where they differ and the key's neighbours are written.
 */

import { type Draft, type Draught, filled, type Value } from "./draft.ts";
import { Foreign, isMap, notOf, time } from "./foreign.ts";
import { rollbridgeProcess } from "./rollbridge_process.ts";

const UNKNOWN = "rollbridge does not know this key either; left out";

export function fromRollbridge(value: unknown, file: string, draught: Draught): void {
  if (!isMap(value) || !Array.isArray(value.processes)) {
    throw notOf(file, "a rollbridge configuration", "there is no list `processes`");
  }
  const root = new Foreign(value, "", draught);
  const { config } = draught;
  config.application = root.text("application");
  config.control = control(root.map("control"));
  config.proxy = proxy(root.map("proxy"));
  const path = root.text("statePath");
  if (path !== undefined) {
    root.note("statePath", `here a directory holds the state: \`state_dir\`, not the file ${path}`);
  }
  const processes = root.list("processes") ?? [];
  const ported = processes.filter(isMap).filter(({ port }) => port !== undefined && port !== null)
    .map(({ id }) => String(id));
  for (const [index, process] of processes.entries()) {
    const name = `processes[${index}]`;
    if (isMap(process)) rollbridgeProcess(new Foreign(process, name, draught), ported);
    else draught.note([], name, "is not a map; left out");
  }
  config.release_retention = retention(root.map("releaseRetention"));
  config.legacy_takeover = legacy(root.map("legacyTakeover"));
  root.leftover(UNKNOWN);
}

function control(from: Foreign | undefined): Draft | undefined {
  if (from === undefined) return undefined;
  from.at = ["control"];
  const mode = from.any("mode");
  const draft = filled({
    socket: from.text("path"),
    mode: typeof mode === "number" ? mode.toString(8) : mode as Value,
    owner: identity(from.any("owner")),
    group: identity(from.any("group")),
  });
  from.leftover(UNKNOWN);
  return draft;
}

function identity(value: unknown): Value {
  return value === undefined ? undefined : String(value);
}

function proxy(from: Foreign | undefined): Draft | undefined {
  if (from === undefined) return undefined;
  from.at = ["proxy"];
  const host = from.text("host") ?? "127.0.0.1";
  const port = from.number("port") ?? 8182;
  const draft: Draft = {
    address: `${host.includes(":") ? `[${host}]` : host}:${port}`,
    upstream_host: from.text("upstreamHost"),
    health: filled({
      path: from.text("healthPath"),
      timeout: time(from, "healthTimeoutMs"),
    }),
    drain_timeout: time(from, "drainTimeoutMs"),
    force_stop_timeout: time(from, "forceStopTimeoutMs"),
  };
  from.leftover(UNKNOWN);
  return filled(draft);
}

function retention(from: Foreign | undefined): Draft | undefined {
  if (from === undefined) return undefined;
  from.at = ["release_retention"];
  const draft = filled({ keep: from.count("keep"), max_age: time(from, "maxAgeMs") });
  from.leftover(UNKNOWN);
  return draft;
}

function legacy(from: Foreign | undefined): Draft | undefined {
  if (from === undefined) return undefined;
  from.at = ["legacy_takeover"];
  const processes = (from.list("processes") ?? []).filter(isMap).map((process, index) => {
    const one = new Foreign(
      process,
      `legacyTakeover.processes[${index}]`,
      from.draught,
      from.at,
    );
    const draft = { name: one.text("name"), includes: one.list("includes") as Value[] };
    one.leftover(UNKNOWN);
    return filled(draft)!;
  });
  const draft = filled({
    screens: from.list("screens") as Value[] | undefined,
    processes: processes.length === 0 ? undefined : processes,
    force_stop_timeout: time(from, "forceStopTimeoutMs"),
  });
  from.leftover(UNKNOWN);
  return draft;
}
