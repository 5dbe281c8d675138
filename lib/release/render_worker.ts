/**
 * From a configured pool to what its workers run: the same templates, directory and variables as a
 * process, and what RoadRunner's workers expect to find in their environment.
 *
 * Invariant: pure. Later variables win, in RoadRunner's order (protocol, 2.2): inherited, ours,
 * RR_RELAY, RR_RPC, `server.env`, RR_VERSION, RR_MODE.
 */

import type { Config } from "../config/config.ts";
import type { ServerConfig } from "../config/roadrunner/server.ts";
import { Failure } from "../core/failure.ts";
import { placeholders, type TemplateValues } from "../core/template.ts";
import { splitWords } from "../core/words.ts";
import type { Identity } from "../os/system.ts";
import type { WorkerSpec } from "../pool/types.ts";
import {
  identityEnv,
  injected,
  type Owner,
  rendered,
  type Surroundings,
  templateValues,
} from "./render.ts";

/** The RoadRunner release whose workers and clients we are compatible with. */
export const RR_VERSION = "2025.1.0";

/** Which workers. */
export interface WorkerOrder {
  /** `http`: what RR_MODE says. */
  plugin: string;
  /** `http`, `jobs.mail`. */
  pool: string;
  /** The pool's own command; undefined: that of `server`. */
  command?: string | string[];
  identity?: Identity;
  /** What RR_RPC says; undefined: there is no RPC server. */
  rpc?: string;
}

/** @throws Failure when there is no command, or a template has no value */
export function renderWorker(
  { plugin, pool, command, identity, rpc }: WorkerOrder,
  server: ServerConfig,
  around: Surroundings,
): WorkerSpec {
  const copy = { index: 0, count: 1, identity };
  const values = templateValues(pool, copy, around);
  const own: Owner = { id: pool, section: command === undefined ? "server" : `${plugin}.pool` };
  const words = wordsOf(command ?? server.command, own);
  const argv = words.map((word) => rendered(own, "command", word, values));
  const env: Record<string, string> = {
    ...around.env,
    ...injected(pool, copy, around),
    RR_RELAY: server.relay,
    ...(rpc === undefined ? {} : { RR_RPC: rpc }),
    ...renderedEnv(pool, "server", server.env, values),
    RR_VERSION,
    RR_MODE: plugin,
  };
  for (const [name, value] of Object.entries(identityEnv(identity))) {
    if (server.env[name] === undefined) env[name] = value;
  }
  return {
    argv,
    command: argv.join(" "),
    cwd: around.release.release_path,
    env,
    identity,
    relay: server.relay,
  };
}

/** Environment values of a section, rendered. @throws Failure */
export function renderedEnv(
  id: string,
  section: string,
  env: Readonly<Record<string, string>>,
  values: TemplateValues,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map((
      [name, value],
    ) => [name, rendered({ id, section }, `env.${name}`, value, values)]),
  );
}

/** The words of a command: split where it is one string. @throws Failure */
export function wordsOf(command: string | string[] | undefined, { id, section }: Owner): string[] {
  if (command === undefined) {
    throw new Failure(`cannot start "${id}": it has no command`, {
      fix: "write server.command, or the pool's own command",
    });
  }
  if (typeof command !== "string") return command;
  const words = splitWords(command);
  if (Array.isArray(words)) return words;
  throw new Failure(`cannot start "${id}": ${section}.command ${words.problem}`, {
    fix: "close the quote, or write the command as a list",
  });
}

/** True when workers cannot run before there is a release: something names a part of it. */
export function needsRelease(
  config: Config,
  server: ServerConfig,
  commands: readonly (string | string[] | undefined)[],
): boolean {
  const texts = [server.command, ...commands].flatMap((one) => one ?? []);
  texts.push(...Object.values(server.env));
  return texts.some((text) =>
    placeholders(text).some((name) => OF_RELEASE.has(name) || isPort(config, name))
  );
}

const OF_RELEASE: ReadonlySet<string> = new Set(["release_path", "release_id", "revision"]);

/** Ports of programs exist only in a release. */
function isPort(config: Config, name: string): boolean {
  return name.startsWith("ports.") && config.processes.some(({ id }) => name === `ports.${id}`);
}
