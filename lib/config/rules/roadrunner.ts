/**
 * Rules between RoadRunner's sections, and between them and ours: every pool has a command, every
 * service a name of its own, no address is wanted twice, Unix sockets have room for their path.
 *
 * Invariant: only what was read without a complaint is looked at.
 */

import type { Config } from "../config.ts";
import { error, type Problem } from "../problem.ts";
import { partsOfDsn } from "../roadrunner/fields.ts";
import { httpOf, metricsOf, rpcOf, serverOf, statusOf, tcpOf } from "../roadrunner/of.ts";
import { configuredPools } from "../roadrunner/pools.ts";
import { dotted, find, type Path } from "../tree.ts";
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

/** Something that listens at a fixed place. */
interface Listener {
  path: Path;
  at: { host: string; port: number } | { path: string };
}

function listeners(context: RuleContext): Listener[] {
  const { config } = context;
  const http = httpOf(config);
  const rpc = rpcOf(config);
  const { relay } = serverOf(config);
  const all: [Path, Listener["at"] | undefined][] = [
    [["proxy", "address"], config.proxy?.address],
    [["http", "address"], http?.address],
    [["http", "ssl", "address"], http?.ssl?.address],
    ...Object.entries(tcpOf(config)?.servers ?? {}).map((
      [name, { addr }],
    ): [Path, Listener["at"]] => [["tcp", "servers", name, "addr"], addr]),
    [["rpc", "listen"], rpc && partsOfDsn(rpc.listen)],
    [["server", "relay"], relay === "pipes" ? undefined : partsOfDsn(relay)],
    [["status", "address"], statusOf(config)?.address],
    [["metrics", "address"], metricsOf(config)?.address],
    [["control", "socket"], pathOf(config)],
  ];
  return all.flatMap(([path, at]) =>
    at === undefined || isBroken(context, path) ? [] : [{ path, at }]
  );
}

function pathOf({ control }: Config): { path: string } | undefined {
  return control.socket === undefined ? undefined : { path: control.socket };
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

function shown(at: Listener["at"]): string {
  if ("path" in at) return at.path;
  return `${at.host.includes(":") ? `[${at.host}]` : at.host}:${at.port}`;
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
