/**
 * The service `status`: whether a plugin lives and takes requests.
 */

import { type RpcCall, RpcError, type RpcResult, type RpcTable } from "../../goridge/rpc.ts";
import { integer, Message, text } from "../../goridge/rpc_message.ts";
import type { Health, RpcHost } from "./host.ts";

const request = new Message<{ plugin: string }>({ plugin: text(1) });
const response = new Message<Health>({ code: integer(1), message: text(2) });

/** `status.*` */
export function statusTable(host: RpcHost): RpcTable {
  return {
    "status.Status": (call) => health(call, host, "alive"),
    "status.Ready": (call) => health(call, host, "ready"),
  };
}

function health(call: RpcCall, host: RpcHost, question: "alive" | "ready"): RpcResult {
  const { plugin } = request.argument(call);
  const found = host.health(plugin, question);
  if (found === undefined) throw new RpcError(`no such plugin: ${plugin}`);
  return response.answer(call, found);
}
