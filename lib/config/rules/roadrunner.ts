/**
 * Rules between RoadRunner's sections, and between them and ours: every pool has a command, every
 * service a name of its own, no address is wanted twice, Unix sockets have room for their path.
 *
 * Invariant: only what was read without a complaint is looked at.
 */

import { error, type Problem } from "../problem.ts";
import { type Listener, listenersOf, shown } from "../listeners.ts";
import { serverOf } from "../roadrunner/of.ts";
import { configuredPools } from "../roadrunner/pools.ts";
import { dotted, find } from "../tree.ts";
import { isBroken, type RuleContext } from "./context.ts";
import { MAX_SOCKET_PATH, socketPathBytes } from "./socket_path.ts";

/** All rules about RoadRunner's sections. */
export function roadRunnerRules(context: RuleContext): Problem[] {
  return [
    ...commands(context),
    ...serviceNames(context),
    ...sameAddress(context),
    ...socketPaths(context),
  ];
}

function commands(context: RuleContext): Problem[] {
  const { config } = context;
  if (serverOf(config).command !== undefined || isBroken(context, ["server", "command"])) return [];
  return configuredPools(config).flatMap(({ plugin, field, settings }) => {
    const path = [...field.split("."), "command"];
    if (settings.command !== undefined || isBroken(context, path)) return [];
    const message = `the workers of ${plugin} have no command`;
    const fix = `add server: { command: php worker.php }, or command to ${field}`;
    return [error([plugin], message, fix, "key")];
  });
}

function serviceNames({ written }: RuleContext): Problem[] {
  const processes = find(written, ["processes"]);
  const services = find(written, ["service"]);
  if (processes?.kind !== "table" || services?.kind !== "table") return [];
  return [...services.entries.keys()].filter((name) => processes.entries.has(name)).map((name) => {
    const message = `service.${name} has the name of processes.${name}`;
    return error(["service", name], message, "rename one of them", "key");
  });
}

function listeners(context: RuleContext): Listener[] {
  return listenersOf(context.config).filter(({ path }) => !isBroken(context, path));
}

function sameAddress(context: RuleContext): Problem[] {
  const all = listeners(context);
  return all.flatMap((listener, i) => {
    const other = all.slice(0, i).find(({ at }) => collide(at, listener.at));
    if (other === undefined) return [];
    const [field, twin] = [dotted(listener.path), dotted(other.path)];
    const message = `${field} ${shown(listener.at)} is taken by ${twin} ${shown(other.at)}`;
    return [error(listener.path, message, "give it another one")];
  });
}

/** Addresses that take the port on every interface. */
const EVERYWHERE = ["0.0.0.0", "::"];

function collide(a: Listener["at"], b: Listener["at"]): boolean {
  if ("path" in a || "path" in b) return "path" in a && "path" in b && a.path === b.path;
  // Port 0 is a free one each time.
  if (a.port !== b.port || a.port === 0) return false;
  const [one, two] = [a, b].map(({ host }) => host === "localhost" ? "127.0.0.1" : host);
  return one === two || EVERYWHERE.includes(one) || EVERYWHERE.includes(two);
}

function socketPaths(context: RuleContext): Problem[] {
  return listeners(context).flatMap(({ path, at }) => {
    if (!("path" in at) || path[0] === "control") return [];
    if (socketPathBytes(at.path) <= MAX_SOCKET_PATH) return [];
    const message = `${
      dotted(path)
    } is longer than the ${MAX_SOCKET_PATH} bytes a socket path may have`;
    return [error(path, message, "use a shorter path")];
  });
}
