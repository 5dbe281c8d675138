/**
 * All services of the daemon for PHP clients, in one table. Plugins bring theirs besides.
 */

import type { RpcTable } from "../../goridge/rpc.ts";
import { appTable } from "./app.ts";
import type { RpcHost } from "./host.ts";
import { informerTable } from "./informer.ts";
import { metricsTable } from "./metrics.ts";
import { resetterTable } from "./resetter.ts";
import { rpcTable } from "./rpc.ts";
import { serviceTable } from "./service.ts";
import { statusTable } from "./status.ts";
import { unsupportedTable } from "./unsupported.ts";

export type * from "./host.ts";

/** The table; `plugins` are theirs, and win where a method is in both. */
export function rpcTables(host: RpcHost, plugins: readonly RpcTable[]): RpcTable {
  return Object.assign(
    {},
    unsupportedTable,
    rpcTable(host),
    informerTable(host),
    resetterTable(host),
    statusTable(host),
    serviceTable(host),
    metricsTable(host),
    appTable(host),
    ...plugins,
  );
}
