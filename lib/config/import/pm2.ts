/**
 * From a PM2 ecosystem file (its value) to ours.
 *
 * Invariant: at most one application becomes the proxied process: the first that is given a PORT, in
 * cluster mode rather than not, else the first in cluster mode.
 */

import { splitWords } from "../../core/words.ts";
import { type Draft, type Draught, duration, filled, literal, quote, type Value } from "./draft.ts";
import { Foreign, isMap, notOf } from "./foreign.ts";
import { pm2Memory, pm2Milliseconds, pm2Restart, tellDropped } from "./pm2_limits.ts";
import { PORT, proxied, tellProxied } from "./web.ts";

/** What PM2 starts a script with, by the end of its name. */
const INTERPRETERS: Record<string, string> = {
  js: "node",
  cjs: "node",
  mjs: "node",
  ts: "bun",
  py: "python3",
  rb: "ruby",
  php: "php",
  pl: "perl",
  sh: "bash",
};

export function fromPm2(value: unknown, file: string, draught: Draught): void {
  const { apps, rest } = appsOf(value);
  if (apps.length === 0) throw notOf(file, "a PM2 ecosystem file", "there is no list `apps`");
  const root = new Foreign(rest, "", draught);
  root.drop("deploy", "is not carried over; supervisor deploy --release-path DIR takes its place");
  root.leftover("is not carried over");
  const web = webOf(apps);
  for (const [index, app] of apps.entries()) {
    addApp(new Foreign(app, `apps[${index}]`, draught), app === web);
  }
}

type App = Record<string, unknown>;

function appsOf(value: unknown): { apps: App[]; rest: App } {
  if (Array.isArray(value)) return { apps: value.filter(isMap), rest: {} };
  if (!isMap(value)) return { apps: [], rest: {} };
  const { apps, ...rest } = value;
  if (apps === undefined) return { apps: "script" in value ? [value] : [], rest: {} };
  return { apps: (Array.isArray(apps) ? apps : [apps]).filter(isMap), rest };
}

/** The application that gets the requests. */
function webOf(apps: App[]): App | undefined {
  const ported = apps.filter((app) => portOf(app) !== undefined);
  return ported.find(isCluster) ?? ported[0] ?? apps.find(isCluster);
}

function isCluster({ exec_mode }: App): boolean {
  return /^cluster(?:_mode)?$/.test(String(exec_mode));
}

/** The port an application is told to listen on. */
function portOf({ env, port }: App): string | undefined {
  const written = isMap(env) ? env.PORT : undefined;
  const found = written ?? port;
  return found === undefined || found === null ? undefined : String(found);
}

function addApp(from: Foreign, isWeb: boolean): void {
  const { draught } = from;
  const script = from.text("script");
  const id = draught.id(from.text("name") ?? nameOf(script), from.name("name"));
  from.at = ["processes", id];
  const port = portOf(from.values);
  from.any("port");
  from.any("exec_mode");
  const draft: Draft = {
    command: command(from, script),
    cwd: directory(from),
    env: environment(from, isWeb),
    replicas: replicas(from),
    stop_signal: "SIGINT",
    graceful_stop: time(from, "kill_timeout"),
    restart: pm2Restart(from),
    memory: pm2Memory(from),
    user: from.text("user") ?? identity(from.any("uid")),
  };
  if (isWeb) {
    const timeout = time(from, "listen_timeout");
    if (timeout !== undefined) draft.health = { tcp: true, timeout };
    tellProxied(draught, id, from.path);
    if (port !== undefined && /^\d+$/.test(port)) takeAddress(draught, port, from.path);
  } else from.drop("listen_timeout", "only counts for the proxied process");
  tellDropped(from);
  draught.process(id, filled(isWeb ? proxied(draft) : draft)!);
}

/** The port that clients know stays; the program gets another one behind it. */
function takeAddress(draught: Draught, port: string, from: string): void {
  draught.config.proxy = { address: `:${port}` };
  draught.note(["proxy"], from, `port ${port} is the proxy's now; PM2 must have let go of it`);
}

function nameOf(script: string | undefined): string {
  return (script ?? "app").replace(/^.*\//, "").replace(/\.\w+$/, "") || "app";
}

function command(from: Foreign, script: string | undefined): Value {
  if (script === undefined) {
    from.note("script", "there is none");
    return "false";
  }
  const interpreter = interpreterOf(from, script);
  const before = [...words(from, "node_args"), ...words(from, "interpreter_args")];
  const after = words(from, "args");
  // A script may be a whole command line.
  const parts = interpreter === undefined ? wordsOf(script) ?? [script] : [script];
  const all = interpreter === undefined ? parts : [interpreter, ...before, ...parts];
  return [...all, ...after].map((word) => from.draught.text(word, from.at, from.name("args")));
}

function interpreterOf(from: Foreign, script: string): string | undefined {
  const written = from.text("interpreter") ?? from.text("exec_interpreter");
  if (written !== undefined) return written === "none" ? undefined : written;
  const end = /\.(\w+)$/.exec(script)?.[1].toLowerCase();
  return end === undefined || /\s/.test(script) ? undefined : INTERPRETERS[end];
}

function words(from: Foreign, key: string): string[] {
  const value = from.any(key);
  if (value === undefined) return [];
  if (Array.isArray(value)) return value.map(String);
  const found = wordsOf(String(value));
  if (found === undefined) from.note(key, `cannot be split into words: ${quote(value)}; left out`);
  return found ?? [];
}

function wordsOf(text: string): string[] | undefined {
  if (text.trim() === "") return [];
  const found = splitWords(text);
  return Array.isArray(found) ? found : undefined;
}

function directory(from: Foreign): string | undefined {
  const cwd = from.text("cwd");
  if (cwd === undefined || cwd === "." || cwd === "./") return undefined;
  if (cwd.startsWith("/")) {
    from.note(
      "cwd",
      "every release runs in this same directory; without cwd each runs in its own",
    );
  }
  return from.draught.text(cwd, from.at, from.name("cwd"));
}

function environment(from: Foreign, isWeb: boolean): Draft | undefined {
  const env: Draft = {};
  const map = from.map("env");
  for (const [name, value] of Object.entries(map?.values ?? {})) {
    if (typeof value === "object") {
      from.note(`env.${name}`, `is no text: ${quote(value)}; left out`);
    } else env[name] = literal(String(value));
  }
  for (const key of Object.keys(from.values).filter((key) => /^env_/.test(key))) {
    from.drop(key, "there is one `env`: write the values in, or use ${NAME} with --dotenv FILE");
  }
  const number = from.text("instance_var") ?? "NODE_APP_INSTANCE";
  if (from.values.instances !== undefined) env[number] = "{{replica_index}}";
  return filled(isWeb ? { ...env, PORT } : env);
}

function replicas(from: Foreign): Value {
  const value = from.any("instances");
  if (value === undefined) return undefined;
  const count = Number(value);
  if (Number.isInteger(count) && count > 0) return count === 1 ? undefined : count;
  from.note("instances", `${quote(value)} depends on the machine; write a number as \`replicas\``);
  return undefined;
}

function time(from: Foreign, key: string): Value {
  const ms = pm2Milliseconds(from, key);
  return ms === undefined ? undefined : duration(ms);
}

function identity(value: unknown): string | undefined {
  return value === undefined ? undefined : String(value);
}
