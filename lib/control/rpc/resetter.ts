/**
 * The service `resetter`: new workers for old ones.
 */

import type { RpcTable } from "../../goridge/rpc.ts";
import { stringArgument } from "./argument.ts";
import type { RpcHost } from "./host.ts";
import { knownPlugin } from "./informer.ts";

/** `resetter.*` */
export function resetterTable(host: RpcHost): RpcTable {
  return {
    "resetter.List": () => ({ json: host.plugins() }),
    "resetter.Reset": async (call) => {
      await host.reset(knownPlugin(host, stringArgument(call, "the name of a plugin")));
      return { json: true };
    },
  };
}
