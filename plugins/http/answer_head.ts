/**
 * The head of a worker's answer: JSON or protobuf, told by the flags of its frame.
 *
 * Invariant: whatever a worker sends is either a head whose status and names are as they must be, or a
 * BadAnswer with a reason for people; values are checked when they are made a head for the client.
 */

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { latin1 as bytesOfLatin1, text } from "../../lib/http/bytes.ts";
import { Fields } from "../../lib/http/mod.ts";
import { messageOf } from "../../lib/core/failure.ts";
import type { AnswerPart } from "../../lib/pool/types.ts";

/** What a worker sent is no answer to an HTTP request. */
export class BadAnswer extends Error {
  override readonly name = "BadAnswer";
}

/** A head as the worker meant it. Values are Latin-1 text, one character per byte. */
export interface AnswerHead {
  readonly status: number;
  /** In the worker's order, without what belongs to the connection. */
  readonly fields: [name: string, value: string][];
  /** What its Content-Length says; -1: nothing, or nonsense. */
  readonly contentLength: number;
  /** Fields to send after the body. */
  readonly trailers: Fields | undefined;
}

type Pairs = [name: string, value: string][];

const PROTOBUF = 0x80;
/** Codec bits of answers in JSON. */
const JSON_FLAGS = [0x00, 0x08];
/** What concerns one hop and is the front's to say. */
const OF_CONNECTION = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "te",
  "upgrade",
]);

const decoder = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();

/** @throws BadAnswer */
export function readAnswerHead({ flags, context }: AnswerPart): AnswerHead {
  const [status, pairs] = flags === PROTOBUF
    ? fromProtobuf(context)
    : JSON_FLAGS.includes(flags)
    ? fromJson(context)
    : unreadable(`the worker answered with flags ${flags}, which is neither JSON nor protobuf`);
  if (!Number.isInteger(status) || status < 100 || status > 599) {
    throw new BadAnswer(`unknown status code from worker: ${status}`);
  }
  return sorted(status, pairs);
}

function fromJson(context: Uint8Array): [number, Pairs] {
  let head: unknown;
  try {
    head = JSON.parse(decoder.decode(context));
  } catch (error) {
    return unreadable(`the head of the worker's answer is no JSON: ${messageOf(error)}`);
  }
  if (typeof head !== "object" || head === null) {
    return unreadable("the head of the worker's answer is no JSON object");
  }
  const { status, headers } = head as { status?: unknown; headers?: unknown };
  if (!isMap(headers)) return unreadable("the fields of the worker's answer are no JSON object");
  const pairs: Pairs = [];
  for (const [name, values] of Object.entries(headers ?? {})) {
    for (const value of Array.isArray(values) ? values : [values]) {
      if (typeof value !== "string" && typeof value !== "number") {
        return unreadable(`the field "${name}" of the worker's answer is neither text nor a list`);
      }
      pairs.push([name, asBytes(String(value))]);
    }
  }
  return [status as number, pairs];
}

/** Nothing is a map without entries, and so is the empty array of PHP. */
function isMap(headers: unknown): headers is Record<string, unknown> | undefined | null {
  if (Array.isArray(headers)) return headers.length === 0;
  return headers === undefined || typeof headers === "object";
}

function fromProtobuf(context: Uint8Array): [number, Pairs] {
  const pairs: Pairs = [];
  let status = 0;
  try {
    const reader = new BinaryReader(context);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === 1 && type === WireType.Varint) status = Number(reader.int64());
      else if (field === 2 && type === WireType.LengthDelimited) readEntry(reader.bytes(), pairs);
      else reader.skip(type, field);
    }
  } catch (error) {
    return unreadable(`the head of the worker's answer is no protobuf: ${messageOf(error)}`);
  }
  return [status, pairs];
}

/** An entry of `map<string, HeaderValue>`. */
function readEntry(bytes: Uint8Array, pairs: Pairs): void {
  const reader = new BinaryReader(bytes);
  let name = "";
  const values: string[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.LengthDelimited) name = reader.string();
    else if (field === 2 && type === WireType.LengthDelimited) readValues(reader.bytes(), values);
    else reader.skip(type, field);
  }
  for (const value of values) pairs.push([name, value]);
}

function readValues(bytes: Uint8Array, values: string[]): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field !== 1 || type !== WireType.LengthDelimited) {
      reader.skip(type, field);
      continue;
    }
    const value = reader.bytes();
    values.push(text(value, 0, value.length));
  }
}

/** Takes out what is not for the head of the answer. */
function sorted(status: number, pairs: Pairs): AnswerHead {
  let announced: Set<string> | undefined;
  let contentLength = -1;
  for (const [name, value] of pairs) {
    const word = name.toLowerCase();
    if (word === "trailer") {
      announced ??= new Set();
      for (const one of value.split(",")) announced.add(one.trim().toLowerCase());
    } else if (word === "content-length" && /^\d{1,15}$/.test(value)) {
      contentLength = Number(value);
    }
  }
  const fields: Pairs = [];
  const later: Pairs = [];
  let hasLength = false;
  for (const pair of pairs) {
    const word = pair[0].toLowerCase();
    if (OF_CONNECTION.has(word)) continue;
    if (word === "content-length") {
      // Said twice or wrong it would be two readings of one answer.
      if (contentLength >= 0 && !hasLength) fields.push(["Content-Length", String(contentLength)]);
      hasLength = true;
    } else if (announced?.has(word)) later.push(pair);
    else fields.push(pair);
  }
  const trailers = later.length === 0 ? undefined : trailerFields(later);
  return { status, fields, contentLength, trailers };
}

function trailerFields(pairs: Pairs): Fields {
  const source = pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("") + "\r\n";
  const bytes = bytesOfLatin1(source);
  const fields = new Fields();
  fields.reset(bytes, 0, 0, 0);
  fields.feed(bytes.length);
  if (fields.size !== bytes.length || fields.count !== pairs.length) {
    throw new BadAnswer(`a trailer of the worker's answer holds a line end or control bytes`);
  }
  return fields;
}

/** A text as the Latin-1 reading of its UTF-8 bytes. */
function asBytes(value: string): string {
  for (let i = 0; i < value.length; i++) {
    if (value.charCodeAt(i) < 0x80) continue;
    const bytes = encoder.encode(value);
    return text(bytes, 0, bytes.length);
  }
  return value;
}

function unreadable(reason: string): never {
  throw new BadAnswer(reason);
}
