/**
 * One process of a rollbridge configuration.
 *
 * Invariant: rollbridge's rules about what a key means for which policy are kept; a key without
 * effect there gets a note, because here it would have one.
 */

import type { Draft, Value } from "./draft.ts";
import { filled, literal, quote } from "./draft.ts";
import { bytes, type Foreign, isMap, time } from "./foreign.ts";
import { translated, variablesIn } from "./rollbridge_words.ts";

const UNKNOWN = "rollbridge does not know this key either; left out";

/** @param ported ids (as in the old file) of all processes that have a port */
export function rollbridgeProcess(from: Foreign, ported: readonly string[]): void {
  const { draught } = from;
  const name = from.text("id") ?? "process";
  const id = draught.id(name, from.name("id"));
  from.at = ["processes", id];
  const policy = from.text("policy") ?? "companion";
  const command = from.text("command");
  if (command === undefined) from.note("command", "there is none");
  const hooks = lifecycle(from.map("lifecycle"));
  const draft: Draft = {
    policy: policy === "companion" ? undefined : policy,
    command: worded(from, "command", command ?? "false"),
    cwd: worded(from, "cwd", from.text("cwd")),
    env: environment(from, command, hooks.texts, ported),
    port: ports(from),
    replicas: from.count("replicas"),
    health: health(from, policy),
    stop_signal: from.text("stopSignal"),
    graceful_stop: graceful(from),
    lifecycle: hooks.draft,
    non_blocking_drain: from.flag("nonBlockingDrain"),
    deploy_strategy: from.text("deployStrategy"),
    restart: restart(from),
    memory: memory(from.map("memory")),
    output_lines: from.count("outputLines"),
  };
  from.leftover(UNKNOWN);
  draught.process(id, filled(draft)!);
}

/** A text with templates by our names. */
function worded(from: Foreign, key: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const { text: ours, unknown } = translated(text);
  for (const name of unknown) from.note(key, `there is no template {{${name}}} here`);
  return literal(ours);
}

function environment(
  from: Foreign,
  command: string | undefined,
  hooks: string[],
  ported: readonly string[],
): Draft | undefined {
  const written = from.any("env");
  const env: Draft = {};
  if (isMap(written)) {
    for (const [name, value] of Object.entries(written)) {
      if (typeof value === "string") env[name] = worded(from, `env.${name}`, value);
      else from.note(`env.${name}`, `is not a text: ${quote(value)}; left out`);
    }
  } else if (written !== undefined) from.note("env", `is not a map: ${quote(written)}; left out`);
  const texts = [command ?? "", ...hooks, ...Object.values(env).map(String)];
  const used = variablesIn(texts, ported);
  for (const name of used.unknown) {
    from.draught.note(from.at, from.path, `nothing sets ${name} here`);
  }
  return filled({ ...used.env, ...env });
}

function ports(from: Foreign): Value {
  const port = from.any("port");
  if (typeof port === "number") return port;
  if (port === undefined) return undefined;
  if (!isMap(port)) {
    from.note("port", `is neither a port nor a range: ${quote(port)}; left out`);
    return undefined;
  }
  const first = typeof port.from === "number" ? port.from : 0;
  const last = typeof port.to === "number" ? port.to : first;
  if (first === 0 || last === 0) return 0;
  return first === last ? first : `${first}-${last}`;
}

function health(from: Foreign, policy: string): Value {
  const written = from.any("health");
  if (written === undefined) return undefined;
  if (policy !== "proxied") {
    const text = "only the proxied process was checked; here every process can be, so check it " +
      "and write it in if it shall be";
    if (written !== false) from.note("health", text);
    return undefined;
  }
  if (written === false) return false;
  const map = from.map("health");
  if (map === undefined) return undefined;
  const draft = filled({
    path: worded(map, "path", map.text("path")),
    timeout: time(map, "timeoutMs"),
    interval: time(map, "intervalMs"),
    start_delay: time(map, "startDelayMs"),
  });
  map.leftover(UNKNOWN);
  return draft;
}

function graceful(from: Foreign): Value {
  return from.any("gracefulStopMs") === "indefinite" ? "indefinite" : time(from, "gracefulStopMs");
}

/** Hooks; their own pid variable has another name here. */
function lifecycle(from: Foreign | undefined): { draft: Draft | undefined; texts: string[] } {
  if (from === undefined) return { draft: undefined, texts: [] };
  const texts: string[] = [];
  const hook = (key: string) => {
    const text = from.text(key);
    if (text === undefined) return undefined;
    const ours = text.replace(/\bROLLBRIDGE_PID\b/g, "SUPERVISOR_PID");
    texts.push(ours);
    if (/\{\{/.test(ours)) from.note(key, "templates in hooks are filled in here, unlike there");
    return literal(ours);
  };
  const draft = filled({
    quiet_command: hook("quietCommand"),
    drain_command: hook("drainCommand"),
    drain_timeout: time(from, "drainTimeoutMs"),
    stop_command: hook("stopCommand"),
  });
  from.leftover(UNKNOWN);
  return { draft, texts };
}

/** Written out with rollbridge's defaults, which are not ours. */
function restart(from: Foreign): Draft | undefined {
  const delay = time(from, "restartDelayMs");
  const map = from.map("restart");
  if (map === undefined) {
    return delay === undefined ? undefined : { delay, backoff_factor: 1, max_delay: 0 };
  }
  const limit = map.count("maxRestarts");
  const draft = filled({
    delay,
    max_restarts: limit,
    window: time(map, "windowMs") ?? (limit === undefined ? undefined : 0),
    backoff_factor: map.number("backoffFactor") ?? 1,
    max_delay: time(map, "maxDelayMs") ?? 0,
  });
  map.leftover(UNKNOWN);
  return draft;
}

function memory(from: Foreign | undefined): Draft | undefined {
  if (from === undefined) return undefined;
  const draft = filled({
    limit: bytes(from, "limitBytes"),
    warn: bytes(from, "warnBytes"),
    check_interval: time(from, "checkIntervalMs"),
  });
  from.leftover(UNKNOWN);
  return draft;
}
