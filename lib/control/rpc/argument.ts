/**
 * Arguments of the methods that speak JSON.
 *
 * Invariant: what comes back has the type it says; anything else is an RpcError that names what was
 * expected.
 */

import { type RpcCall, RpcError } from "../../goridge/rpc.ts";

/** The argument is one string: the name of a plugin, a line of the log. */
export function stringArgument(call: RpcCall, what: string): string {
  const value = call.json();
  if (typeof value !== "string") throw new RpcError(`the argument must be ${what}, a string`);
  return value;
}

/** The argument is one object. */
export function objectArgument(call: RpcCall): Record<string, unknown> {
  const value = call.json();
  if (!isObject(value)) throw new RpcError("the argument must be an object");
  return value;
}

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
