/**
 * The service `rpc`: about the server itself.
 */

import type { RpcTable } from "../../goridge/rpc.ts";
import { jsonText } from "../../goridge/rpc_exchange.ts";
import { RR_VERSION } from "../../release/render_worker.ts";
import { noArgument } from "./argument.ts";
import type { RpcHost } from "./host.ts";

/** `rpc.*` */
export function rpcTable(host: RpcHost): RpcTable {
  return {
    "rpc.Version": (call) => {
      noArgument(call);
      return { json: RR_VERSION };
    },
    // Bytes, which are base64 in JSON: so Go writes them, and so clients expect them.
    "rpc.Config": (call) => {
      noArgument(call);
      return { bytes: new TextEncoder().encode(jsonText(host.config())) };
    },
  };
}
