/**
 * Every fixed place at which a configuration lets something listen, whatever section says so.
 *
 * Invariant: what is not here does not listen, except the programs that it runs.
 */

import type { Config } from "./config.ts";
import { partsOfDsn } from "./roadrunner/fields.ts";
import { httpOf, metricsOf, rpcOf, serverOf, statusOf, tcpOf } from "./roadrunner/of.ts";
import type { Path } from "./tree.ts";

/** Something that listens at a fixed place. */
export interface Listener {
  /** The key that says so. */
  path: Path;
  at: { host: string; port: number } | { path: string };
}

/** All of them. */
export function listenersOf(config: Config): Listener[] {
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
  return all.flatMap(([path, at]) => at === undefined ? [] : [{ path, at }]);
}

function pathOf({ control }: Config): { path: string } | undefined {
  return control.socket === undefined ? undefined : { path: control.socket };
}

/** A place, for people. */
export function shown(at: Listener["at"]): string {
  if ("path" in at) return at.path;
  return `${at.host.includes(":") ? `[${at.host}]` : at.host}:${at.port}`;
}
