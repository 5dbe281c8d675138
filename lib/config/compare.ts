/**
 * What a new configuration changes, and how each change takes effect.
 *
 * | effect     | means                                                        |
 * | ---------- | ------------------------------------------------------------ |
 * | live       | applied to what runs                                         |
 * | generation | a new generation of the current release, by the five verbs   |
 * | listener   | a new listener is bound before the old one closes            |
 * | refused    | cannot change while the daemon runs                          |
 *
 * Invariant: pure; equal configurations give no change, and every difference gives at least one.
 */

import type { Change, Config, Effect, ProcessConfig, ProxyConfig } from "./config.ts";

/** How two values of a section differ; a missing one is undefined. Fields are whole paths. */
export type CompareSection = (old: unknown, next: unknown) => Change[];

/** What cannot change while the daemon runs, and why. */
const REFUSED = {
  application: "the application's name is part of the daemon's own paths; restart the daemon",
  control: "the control socket is how commands reach this daemon; restart the daemon",
  state_dir: "the daemon's state lies there; restart the daemon",
} as const;

/** Fields of a process that need a new generation; all others apply live. */
const OF_GENERATION: readonly (keyof ProcessConfig)[] = [
  "command",
  "cwd",
  "env",
  "user",
  "port",
  "replicas",
  "policy",
  "deploy_strategy",
  "depends_on",
  "origin",
];

/** The differences from `old` to `next`, in the order of the file's sections. */
export function compare(
  old: Config,
  next: Config,
  sections: ReadonlyMap<string, CompareSection> = new Map(),
): Change[] {
  return [
    ...refused("application", old.application, next.application),
    ...refused("state_dir", old.state_dir, next.state_dir),
    ...refused("control", old.control, next.control),
    ...compareProxy(old.proxy, next.proxy),
    ...compareProcesses(old, next),
    ...differences("release_retention", old.release_retention, next.release_retention, live),
    ...differences("legacy_takeover", old.legacy_takeover, next.legacy_takeover, live),
    ...differences("events", old.events, next.events, live),
    ...differences("webhooks", old.webhooks, next.webhooks, live),
    ...compareSections(old.sections, next.sections, sections),
  ];
}

const live = (): Effect => "live";

function refused(field: keyof typeof REFUSED, old: unknown, next: unknown): Change[] {
  return differences(field, old, next, () => "refused").map((change) => ({
    ...change,
    reason: REFUSED[field],
  }));
}

function compareProxy(old: ProxyConfig | undefined, next: ProxyConfig | undefined): Change[] {
  if (old === undefined || next === undefined) {
    return old === next ? [] : [{ field: "proxy", effect: "listener" }];
  }
  return differences("proxy", old, next, (field) => {
    if (/^proxy\.(?:address|front)\b/.test(field)) return "listener";
    return field === "proxy.upstream_host" ? "generation" : "live";
  }, (field) => field === "proxy.address");
}

function compareProcesses(old: Config, next: Config): Change[] {
  const before = new Map(old.processes.map((process) => [process.id, process]));
  const after = new Map(next.processes.map((process) => [process.id, process]));
  const ids = [...after.keys(), ...[...before.keys()].filter((id) => !after.has(id))];
  return ids.flatMap((process): Change[] => {
    const was = before.get(process);
    const is = after.get(process);
    const field = `${(is ?? was)?.origin ?? "processes"}.${process}`;
    if (was === undefined) return [{ field, effect: "generation", process, reason: "added" }];
    if (is === undefined) return [{ field, effect: "generation", process, reason: "removed" }];
    return compareProcess(field, inherited(was, old), inherited(is, next))
      .map((change) => ({ ...change, process }));
  });
}

function compareProcess(field: string, old: object, next: object): Change[] {
  return differences(field, old, next, (path) => {
    const key = path.slice(field.length + 1).split(".")[0];
    return (OF_GENERATION as readonly string[]).includes(key) ? "generation" : "live";
  }, (path) => path === `${field}.command` || path === `${field}.port`);
}

/**
 * A process without the values it has from the proxy section: a change there is told there, once,
 * not again for each process.
 */
function inherited(process: ProcessConfig, { proxy }: Config): object {
  if (proxy === undefined) return process;
  const { graceful_stop, health, ...own } = process;
  const mine = Object.entries(health).filter(([key, value]) =>
    key === "kind" || value !== proxy.health[key as keyof typeof proxy.health]
  );
  return {
    ...own,
    graceful_stop: graceful_stop === proxy.force_stop_timeout ? undefined : graceful_stop,
    health: Object.fromEntries(mine),
  };
}

function compareSections(
  old: Record<string, unknown>,
  next: Record<string, unknown>,
  sections: ReadonlyMap<string, CompareSection>,
): Change[] {
  const names = [...new Set([...Object.keys(old), ...Object.keys(next)])]
    .filter((name) => name !== "service");
  return names.flatMap((name): Change[] => {
    const was = old[name];
    const is = next[name];
    const own = sections.get(name);
    if (own !== undefined) return own(was, is);
    return differences(name, was, is, () => "generation");
  });
}

/**
 * The fields in which two values differ, as deep as both are maps.
 *
 * @param whole says which fields are compared as one
 */
export function differences(
  field: string,
  old: unknown,
  next: unknown,
  effect: (field: string) => Effect,
  whole: (field: string) => boolean = () => false,
): Change[] {
  if (same(old, next)) return [];
  if (!isMap(old) || !isMap(next) || whole(field)) {
    return [{ field, effect: effect(field) }];
  }
  const keys = [...new Set([...Object.keys(next), ...Object.keys(old)])];
  return keys.flatMap((key) => differences(`${field}.${key}`, old[key], next[key], effect, whole));
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Deep equality of plain data; a key that is undefined is a key that is not there. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  if (!isMap(a) || !isMap(b)) return false;
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => same(a[key], b[key]));
}
