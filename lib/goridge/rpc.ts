/**
 * The RPC contract for PHP clients (protocol chapter 11): what a method gets and gives.
 *
 * Invariant: types only; a table is the whole of what a service offers.
 */

/** How arguments and result are encoded, decided by the caller. */
export type RpcCodec = "json" | "proto" | "raw";

/** One call. */
export interface RpcCall {
  readonly codec: RpcCodec;
  /** The argument bytes; may be empty. */
  readonly bytes: Uint8Array;
  /** The argument as JSON; null when empty. @throws RpcError when it is none, or the codec is proto */
  json(): unknown;
}

/** What a method answers: a JSON value (for codec json) or the bytes of a message. */
export type RpcResult = { json: unknown } | { bytes: Uint8Array };

/** A method. What it throws becomes an error reply with the message as text. */
export type RpcMethod = (call: RpcCall) => RpcResult | Promise<RpcResult>;

/** Methods by full name: `informer.Workers`. */
export type RpcTable = Readonly<Record<string, RpcMethod>>;

/** An error reply with exactly this text. */
export class RpcError extends Error {
  override readonly name = "RpcError";
}
