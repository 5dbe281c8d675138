/**
 * One RPC call as frames: what a request asks, and the frame that answers it (protocol chapter 11).
 *
 * | request flags                | codec                                    |
 * | ---------------------------- | ---------------------------------------- |
 * | PROTO, else JSON, else RAW   | that one                                 |
 * | MSGPACK, GOB, none (is GOB)  | an error reply that names it             |
 * | CONTROL or ERROR             | no request: FrameBroken                  |
 *
 * Invariant: pure; an answer has the flags, the options and the method name of its request, byte for
 * byte, whatever the method did.
 */

import { messageOf } from "../core/failure.ts";
import { Flag, MAX_PAYLOAD } from "./codes.ts";
import { type Frame, FrameBroken, type OutFrame } from "./relay.ts";
import { type RpcCall, type RpcCodec, RpcError, type RpcResult } from "./rpc.ts";

/** Codec bits in the order in which they are tested. */
const CODECS: readonly [bit: number, codec: RpcCodec][] = [
  [Flag.proto, "proto"],
  [Flag.json, "json"],
  [Flag.raw, "raw"],
];

/** The longest method name, bytes; the longest of ours has 23. */
const NAME_BYTES = 255;
/** The longest JSON argument, bytes: parsing one of 64 MiB would hold everybody else up. */
const JSON_BYTES = 4 << 20;
/** The longest error text, characters. */
const ERROR_CHARACTERS = 8192;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A request, taken apart. */
export class RpcRequest {
  /** `informer.Workers` */
  readonly method: string;
  readonly argument: Uint8Array;
  /** Undefined: one that is not supported. */
  readonly codec: RpcCodec | undefined;
  readonly #frame: Frame;
  readonly #name: Uint8Array;

  /** @throws FrameBroken when the frame is no request */
  constructor(frame: Frame) {
    const { flags, options, payload } = frame;
    if ((flags & (Flag.control | Flag.error)) !== 0) {
      throw new FrameBroken(`a frame with the flags 0x${flags.toString(16)} is no request`);
    }
    if (options.length !== 2) {
      throw new FrameBroken(`a request has 2 options, this one ${options.length}`);
    }
    const length = options[1];
    if (length === 0 || length > NAME_BYTES || length > payload.length) {
      throw new FrameBroken(
        `the method name of a request cannot be ${length} bytes long (payload: ${payload.length})`,
      );
    }
    this.#frame = frame;
    this.#name = payload.subarray(0, length);
    this.method = decoder.decode(this.#name);
    this.argument = payload.subarray(length);
    this.codec = CODECS.find(([bit]) => (flags & bit) !== 0)?.[1];
  }

  /** What the method gets. @throws RpcError when the codec is not supported */
  call(): RpcCall {
    const { codec, argument, method } = this;
    if (codec === undefined) {
      const name = (this.#frame.flags & Flag.msgpack) !== 0 ? "MSGPACK" : "GOB";
      throw new RpcError(`the codec ${name} is not supported: use JSON or protobuf`);
    }
    return { codec, bytes: argument, json: () => jsonOf(codec, argument, method) };
  }

  /** @throws RpcError when the caller's codec, or a frame, cannot carry the result */
  answer(result: RpcResult): OutFrame {
    const encoded = this.#encode(result);
    if (this.#name.length + encoded.length > MAX_PAYLOAD) {
      throw new RpcError(`the answer of ${this.method} is too large: ${encoded.length} bytes`);
    }
    return this.#reply(this.#frame.flags, encoded);
  }

  refuse(text: string): OutFrame {
    const shown = text.length > ERROR_CHARACTERS ? `${text.slice(0, ERROR_CHARACTERS)}…` : text;
    return this.#reply(this.#frame.flags | Flag.error, encoder.encode(shown));
  }

  #reply(flags: number, result: Uint8Array): OutFrame {
    return { flags, options: this.#frame.options, parts: [this.#name, result] };
  }

  #encode(result: RpcResult): Uint8Array {
    if ("bytes" in result) {
      if (this.codec !== "json") return result.bytes;
      // As Go writes bytes in JSON.
      return encoder.encode(`"${result.bytes.toBase64()}"`);
    }
    if (this.codec !== "proto") return encoder.encode(jsonText(result.json));
    throw new RpcError(`${this.method} answers JSON: call it with the JSON codec`);
  }
}

/** Not yet in the types of the runtime. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** JSON text of a value in which integers may be bigints: nanoseconds do not fit a number. */
export function jsonText(value: unknown): string {
  const exact = (_key: string, part: unknown) =>
    typeof part === "bigint" ? rawJSON(part.toString()) : part;
  return JSON.stringify(value, exact) ?? "null";
}

function jsonOf(codec: RpcCodec, bytes: Uint8Array, method: string): unknown {
  if (codec === "proto") throw new RpcError(`${method} takes JSON: call it with the JSON codec`);
  if (bytes.length === 0) return null;
  if (bytes.length > JSON_BYTES) {
    throw new RpcError(`the argument of ${method} is longer than ${JSON_BYTES} bytes`);
  }
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new RpcError(`the argument of ${method} is no JSON: ${messageOf(error)}`);
  }
}
