/**
 * Services of RoadRunner that clients may look for and that are not here: each method says so, instead
 * of being merely unknown.
 */

import { RpcError, type RpcMethod, type RpcTable } from "../../goridge/rpc.ts";

const METHODS: Readonly<Record<string, readonly string[]>> = {
  kv: ["Has", "Set", "MGet", "MExpire", "TTL", "Delete", "Clear"],
  lock: ["Lock", "LockRead", "Release", "ForceRelease", "Exists", "UpdateTTL"],
};

/** `kv.*` and `lock.*` */
export const unsupportedTable: RpcTable = Object.fromEntries(
  Object.entries(METHODS).flatMap(([service, names]) =>
    names.map((name) => [`${service}.${name}`, refusal(service, name)])
  ),
);

function refusal(service: string, name: string): RpcMethod {
  return () => {
    throw new RpcError(
      `${service}.${name} is not supported: this server has no service "${service}"`,
    );
  };
}
