/**
 * The context of a request: everything a worker is told about it besides the body (reference of the
 * protocol, chapter 8), in one of two encodings.
 *
 * Invariant: a worker can read whatever is written here, whatever the client sent; nothing of a head is
 * kept longer than the call.
 */

import type { HttpConfig } from "../../lib/config/roadrunner/http.ts";
import type { Exchange } from "../../lib/http/mod.ts";
import { jsonContext } from "./context_json.ts";
import { protobufContext } from "./context_proto.ts";

/** What a context is made from. */
export interface Asked extends Pick<Exchange, "head" | "client" | "tls"> {
  /** The body is a JSON tree of form fields. */
  parsed: boolean;
  /** The tree of uploaded files as JSON text; null: none. */
  uploads: string | null;
}

/** Codec bits of request frames. */
const FLAGS = { json: 0x08, protobuf: 0x80 } as const;

/** A context and the flags of its frame. */
export function contextOf(
  encoding: HttpConfig["encoding"],
  asked: Asked,
): { flags: number; context: Uint8Array } {
  const context = encoding === "json" ? jsonContext(asked) : protobufContext(asked);
  return { flags: FLAGS[encoding], context };
}
