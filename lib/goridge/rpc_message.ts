/**
 * Messages of RPC services: written down once as fields, read and answered as protobuf or as JSON,
 * whichever the caller speaks.
 *
 * A missing field has the zero value of its kind; unknown fields, and known ones that come in another
 * wire type, are skipped (a newer client must not fail here). In JSON the names are those of the
 * fields, and a field of the wrong type is an error, because there somebody wrote it by hand.
 *
 * Invariant: no list and no map grows beyond MOST_ITEMS, whatever the bytes say.
 */

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { messageOf } from "../core/failure.ts";
import { type RpcCall, RpcError, type RpcResult } from "./rpc.ts";

/**
 * Items of one list or map, in protobuf values of one message; two bytes of a frame could be one, and
 * each costs a hundred here.
 */
export const MOST_ITEMS = 10_000;

/** A field of a message: its number, and how values of its kind are read and written. */
export interface Field<T> {
  readonly number: number;
  readonly wire: WireType;
  zero(): T;
  /** Reads one occurrence, after its tag; `before` is the value so far. */
  read(reader: BinaryReader, before: T): T;
  /** Writes the value with its tag; nothing for the zero value. */
  write(writer: BinaryWriter, value: T): void;
  /** @throws RpcError when the value is of another type; `name` is for its text */
  fromJson(value: unknown, name: string): T;
}

/** The fields of a message by name. */
export type Fields<M> = { readonly [K in keyof M]-?: Field<M[K]> };

/** A message of the type `M`. */
export class Message<M extends object> {
  readonly #fields: [keyof M & string, Field<unknown>][];
  readonly #byNumber: ReadonlyMap<number, [keyof M & string, Field<unknown>]>;

  constructor(fields: Fields<M>) {
    this.#fields = Object.entries(fields) as [keyof M & string, Field<unknown>][];
    this.#byNumber = new Map(this.#fields.map((entry) => [entry[1].number, entry]));
  }

  /** The argument of a call. @throws RpcError when it is no such message */
  argument(call: RpcCall): M {
    if (call.codec === "json") return this.fromJson(call.json() ?? {}, "the argument");
    if (call.codec === "proto") return this.decode(call.bytes);
    throw new RpcError("the argument must be protobuf or JSON");
  }

  /** The answer to a call, encoded as the caller asked. */
  answer(call: RpcCall, value: M): RpcResult {
    return call.codec === "json" ? { json: value } : { bytes: this.encode(value) };
  }

  /** @throws RpcError when the bytes are no protobuf message */
  decode(bytes: Uint8Array): M {
    try {
      return this.#decode(bytes);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      throw new RpcError(`the argument is no protobuf message: ${messageOf(error)}`);
    }
  }

  encode(value: M): Uint8Array<ArrayBuffer> {
    const writer = new BinaryWriter();
    for (const [name, field] of this.#fields) field.write(writer, value[name]);
    return writer.finish();
  }

  /** @throws RpcError */
  fromJson(value: unknown, name: string): M {
    const given = new Map(pairsOf(value, name));
    const read = this.#fields.map(([key, field]) => {
      const part = given.get(key) ?? null;
      return [key, part === null ? field.zero() : field.fromJson(part, `"${key}"`)];
    });
    return Object.fromEntries(read) as M;
  }

  #decode(bytes: Uint8Array): M {
    const reader = new BinaryReader(bytes);
    const message = Object.fromEntries(
      this.#fields.map(([key, field]) => [key, field.zero()]),
    ) as M;
    for (let values = 0; reader.pos < reader.len; values++) {
      mayGrow(values);
      const [number, wire] = reader.tag();
      const [key, field] = this.#byNumber.get(number) ?? [];
      if (key === undefined || field!.wire !== wire) reader.skip(wire, number);
      else message[key] = field!.read(reader, message[key]) as M[typeof key];
    }
    return message;
  }
}

/** Fields whose values fit one method of the reader and one of the writer. */
function scalar<T extends string | number | boolean>(
  number: number,
  wire: WireType,
  zero: T,
  expected: string,
  read: (reader: BinaryReader) => T,
  write: (writer: BinaryWriter, value: T) => void,
): Field<T> {
  return {
    number,
    wire,
    zero: () => zero,
    read,
    write(writer, value) {
      if (value !== zero) write(writer.tag(number, wire), value);
    },
    fromJson(value, name) {
      if (typeof value === typeof zero) return value as T;
      throw new RpcError(`${name} must be ${expected}`);
    },
  };
}

/** `string` */
export function text(number: number): Field<string> {
  return scalar(
    number,
    WireType.LengthDelimited,
    "",
    "a string",
    (reader) => reader.string(),
    (writer, value) => void writer.string(value),
  );
}

/** `bool` */
export function flag(number: number): Field<boolean> {
  return scalar(
    number,
    WireType.Varint,
    false,
    "true or false",
    (reader) => reader.bool(),
    (writer, value) => void writer.bool(value),
  );
}

/** `int32` and `int64`; beyond 2^53 the nearest number. */
export function integer(number: number): Field<number> {
  return scalar(
    number,
    WireType.Varint,
    0,
    "a number",
    (reader) => Number(reader.int64()),
    (writer, value) => void writer.int64(Math.trunc(value)),
  );
}

/** `uint32` and `uint64`; beyond 2^53 the nearest number. */
export function unsigned(number: number): Field<number> {
  return scalar(
    number,
    WireType.Varint,
    0,
    "a number",
    (reader) => Number(reader.uint64()),
    (writer, value) => void writer.uint64(Math.trunc(value)),
  );
}

/** `float` */
export function float(number: number): Field<number> {
  return scalar(
    number,
    WireType.Bit32,
    0,
    "a number",
    (reader) => reader.float(),
    (writer, value) => void writer.float(value),
  );
}

/** A message in a message; null: not there. */
export function nested<M extends object>(number: number, message: Message<M>): Field<M | null> {
  return {
    number,
    wire: WireType.LengthDelimited,
    zero: () => null,
    read: (reader) => message.decode(reader.bytes()),
    write(writer, value) {
      if (value === null) return;
      writer.tag(number, WireType.LengthDelimited).bytes(message.encode(value));
    },
    fromJson: (value, name) => message.fromJson(value, name),
  };
}

/** `repeated string` */
export function texts(number: number): Field<string[]> {
  return list(
    number,
    (reader) => reader.string(),
    (writer, value) => void writer.string(value),
    text(number).fromJson,
  );
}

/** `repeated` messages. */
export function messages<M extends object>(number: number, message: Message<M>): Field<M[]> {
  return list(
    number,
    (reader) => message.decode(reader.bytes()),
    (writer, value) => void writer.bytes(message.encode(value)),
    (value, name) => message.fromJson(value, name),
  );
}

function list<T>(
  number: number,
  read: (reader: BinaryReader) => T,
  write: (writer: BinaryWriter, value: T) => void,
  fromJson: (value: unknown, name: string) => T,
): Field<T[]> {
  return {
    number,
    wire: WireType.LengthDelimited,
    zero: () => [],
    read(reader, before) {
      before.push(read(reader));
      return before;
    },
    write(writer, values) {
      for (const value of values) write(writer.tag(number, WireType.LengthDelimited), value);
    },
    fromJson(value, name) {
      if (!Array.isArray(value)) throw new RpcError(`${name} must be a list`);
      mayGrow(value.length - 1);
      return value.map((item) => fromJson(item, `each of ${name}`));
    },
  };
}

/** `bytes`; in JSON base64, as clients of RoadRunner send it. */
export function bytes(number: number): Field<Uint8Array> {
  return {
    number,
    wire: WireType.LengthDelimited,
    zero: () => new Uint8Array(0),
    // A copy: the frame it came in is not kept for it.
    read: (reader) => reader.bytes().slice(),
    write(writer, value) {
      if (value.length > 0) writer.tag(number, WireType.LengthDelimited).bytes(value);
    },
    fromJson(value, name) {
      try {
        if (typeof value === "string") return Uint8Array.fromBase64(value);
      } catch {
        // Said below.
      }
      throw new RpcError(`${name} must be a string in base64`);
    },
  };
}

/** `map<string, string>` */
export function textMap(number: number): Field<Record<string, string>> {
  return mapOf(number, text(2));
}

/** `map<string, …>`; `value` is a field with the number 2. */
export function mapOf<T>(number: number, value: Field<T>): Field<Record<string, T>> {
  const entries = new Message<{ key: string; value: T }>({ key: text(1), value });
  return {
    number,
    wire: WireType.LengthDelimited,
    // No prototype: keys are whatever a client sends.
    zero: () => Object.create(null),
    read(reader, before) {
      const { key, value } = entries.decode(reader.bytes());
      before[key] = value;
      return before;
    },
    write(writer, map) {
      for (const [key, value] of Object.entries(map)) {
        writer.tag(number, WireType.LengthDelimited).bytes(entries.encode({ key, value }));
      }
    },
    fromJson(given, name) {
      const pairs = pairsOf(given, name);
      mayGrow(pairs.length - 1);
      const map = this.zero();
      for (const [key, item] of pairs) map[key] = value.fromJson(item, `each of ${name}`);
      return map;
    },
  };
}

/** Keys and values of an object. @throws RpcError when it is none */
function pairsOf(value: unknown, name: string): [string, unknown][] {
  // An empty array of PHP is a list in JSON, whatever it was meant to be.
  const isList = Array.isArray(value) && value.length > 0;
  if (typeof value === "object" && value !== null && !isList) return Object.entries(value);
  throw new RpcError(`${name} must be an object`);
}

function mayGrow(length: number): void {
  if (length >= MOST_ITEMS) throw new RpcError(`a list has more than ${MOST_ITEMS} items`);
}
