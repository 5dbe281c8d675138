/**
 * The service `rpc`: about the server itself.
 */

import type { RpcTable } from "../../goridge/rpc.ts";
import { jsonText } from "../../goridge/rpc_exchange.ts";
import { RR_VERSION } from "../../release/render_worker.ts";
import type { RpcHost } from "./host.ts";

/** `rpc.*` */
export function rpcTable(host: RpcHost): RpcTable {
  return {
    "rpc.Version": () => ({ json: RR_VERSION }),
    // Bytes, which are base64 in JSON: so Go writes them, and so clients expect them.
    "rpc.Config": () => ({ bytes: new TextEncoder().encode(jsonText(host.config())) }),
  };
}
