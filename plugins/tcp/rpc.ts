/**
 * The service `tcp` for PHP clients.
 *
 * Invariant: an id that no connection has is no error: the connection may have ended by itself.
 */

import { RpcError, type RpcTable } from "../../lib/goridge/rpc.ts";
import type { TcpIntake } from "./intake.ts";

/** `tcp.*` */
export function tcpTable(intake: Pick<TcpIntake, "close">): RpcTable {
  return {
    "tcp.Close": (call) => {
      const uuid = call.json();
      if (typeof uuid !== "string") {
        throw new RpcError("the argument must be the uuid of a connection, a string");
      }
      intake.close(uuid);
      return { json: true };
    },
  };
}
