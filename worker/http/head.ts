/**
 * Heads of requests and answers as they stand in the context of a frame: JSON, or protobuf
 * (`http.v1`) where the supervisor speaks that.
 *
 * In both forms the strings here are header values as on the wire: one character for each byte, as
 * `Headers` wants them.
 *
 * Invariant: an answer is encoded as its request was.
 */

import { Flag } from "../frame.ts";
import { bytesField, type Field, fieldsOf, numberField } from "./protobuf.ts";

/** A file that came with a form. Its content stands in `tmpName`, until the answer is out. */
export interface Upload {
  /** As the client named it. */
  name: string;
  mime: string;
  size: number;
  /** PHP's numbers: 0 is fine, 4 no file was chosen, 6 no directory, 7 not written, 8 refused. */
  error: number;
  tmpName: string;
}

/** Values by name, names by brackets: `a[b][]=c` is `{ a: { b: ["c"] } }`. */
export interface Tree<Leaf> {
  [name: string]: Leaf | Leaf[] | Tree<Leaf>;
}

/** The head of a request. */
export interface Head {
  remoteAddr: string;
  protocol: string;
  method: string;
  uri: string;
  /** Names with all their values. */
  headers: [name: string, values: string[]][];
  cookies: Record<string, string>;
  rawQuery: string;
  /** The body is a JSON tree of form fields. */
  parsed: boolean;
  uploads: Tree<Upload> | null;
  /** What the supervisor's middleware found out. */
  attributes: Record<string, unknown>;
}

const decoder = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true });
const encoder = new TextEncoder();
const NOT_ASCII = /[^\0-\x7f]/;

/** Reads the head of a request. @throws Error when it is none */
export function readHead(flags: number, context: Uint8Array): Head {
  return flags & Flag.proto ? fromProtobuf(context) : fromJson(JSON.parse(decoder.decode(context)));
}

/** The flags of an answer to a request with these. */
export function answerFlags(flags: number): number {
  return flags & Flag.proto ? Flag.proto : Flag.json;
}

/** Writes the head of an answer; headers as `Headers` holds them. */
export function writeHead(
  flags: number,
  status: number,
  headers: Iterable<[name: string, value: string]>,
): Uint8Array {
  const grouped = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const values = grouped.get(name);
    if (values === undefined) grouped.set(name, [value]);
    else values.push(value);
  }
  if (flags & Flag.proto) return toProtobuf(status, grouped);
  for (const values of grouped.values()) values.forEach((one, i) => values[i] = textOf(one));
  return encoder.encode(JSON.stringify({ status, headers: Object.fromEntries(grouped) }));
}

/** JSON as the supervisor writes it: missing and null is empty. */
interface JsonHead extends Omit<Head, "headers" | "cookies" | "attributes"> {
  headers: Record<string, string[]> | null;
  cookies: Record<string, string> | null;
  attributes: Record<string, unknown> | null;
}

function fromJson(head: JsonHead): Head {
  const headers = Object.entries(head.headers ?? {});
  return {
    ...head,
    headers: headers.map(([name, values]) => [name, values.map(wireOf)]),
    cookies: head.cookies ?? {},
    uploads: head.uploads ?? null,
    attributes: head.attributes ?? {},
  };
}

/** Text of JSON as header bytes, one character each. */
function wireOf(text: string): string {
  return NOT_ASCII.test(text) ? characters(encoder.encode(text)) : text;
}

/** Header bytes as text of JSON: UTF-8 where they are that, else each byte a character. */
function textOf(wire: string): string {
  if (!NOT_ASCII.test(wire)) return wire;
  try {
    return strict.decode(bytesOf(wire));
  } catch {
    return wire;
  }
}

function characters(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function bytesOf(characters: string): Uint8Array {
  return Uint8Array.from(characters, (character) => character.charCodeAt(0));
}

function fromProtobuf(message: Uint8Array): Head {
  const head: Head = {
    remoteAddr: "",
    protocol: "",
    method: "",
    uri: "",
    headers: [],
    cookies: {},
    rawQuery: "",
    parsed: false,
    uploads: null,
    attributes: {},
  };
  for (const field of fieldsOf(message)) setField(head, field);
  return head;
}

function setField(head: Head, { number, value, bytes }: Field): void {
  if (bytes === undefined) {
    if (number === 8) head.parsed = value !== 0;
    return;
  }
  const text = () => decoder.decode(bytes);
  switch (number) {
    case 1:
      head.remoteAddr = text();
      break;
    case 2:
      head.protocol = text();
      break;
    case 3:
      head.method = text();
      break;
    case 4:
      head.uri = text();
      break;
    case 5: {
      const [name, values] = entryOf(bytes);
      head.headers.push([name, values.map(characters)]);
      break;
    }
    case 6: {
      const [name, values] = entryOf(bytes);
      define(head.cookies, name, values.map((value) => decoder.decode(value)).join(","));
      break;
    }
    case 7:
      head.rawQuery = text();
      break;
    case 9:
      if (bytes.length > 0) head.uploads = JSON.parse(text());
      break;
    case 10: {
      const [name, values] = entryOf(bytes);
      define(head.attributes, name, values.map((value) => decoder.decode(value)));
      break;
    }
  }
}

/** Also for a name that an object has already, such as `__proto__`. */
function define(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

/** An entry of a map from names to `HeaderValue`. */
function entryOf(message: Uint8Array): [name: string, values: Uint8Array[]] {
  let name = "";
  const values: Uint8Array[] = [];
  for (const { number, bytes } of fieldsOf(message)) {
    if (bytes === undefined) continue;
    if (number === 1) name = decoder.decode(bytes);
    else if (number === 2) {
      for (const { bytes: one } of fieldsOf(bytes)) if (one) values.push(one);
    }
  }
  return [name, values];
}

function toProtobuf(status: number, headers: Map<string, string[]>): Uint8Array {
  const message = numberField(1, status);
  for (const [name, values] of headers) {
    const value = values.flatMap((one) => bytesField(1, [...bytesOf(one)]));
    const entry = [...bytesField(1, [...encoder.encode(name)]), ...bytesField(2, value)];
    message.push(...bytesField(2, entry));
  }
  return Uint8Array.from(message);
}
