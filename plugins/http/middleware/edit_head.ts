/**
 * Heads with other fields than they came with. A head is bytes, so a new one is made.
 *
 * Invariant: what is made went through the same strict parser as what a client or a worker sent; a
 * value with a line end in it is an error and never a second field.
 */

import { copy, latin1, text } from "../../../lib/http/bytes.ts";
import { COMPLETE } from "../../../lib/http/fields.ts";
import { RequestHead, ResponseHead } from "../../../lib/http/mod.ts";

/** Names and values, in their order. */
export type Pairs = readonly (readonly [name: string, value: string])[];

/** The fields of a configuration, in UTF-8, as heads have them: one character for each byte. */
export function pairsOf(fields: Readonly<Record<string, string>>): Pairs {
  const utf8 = new TextEncoder();
  return Object.entries(fields).map(([name, value]) => {
    const bytes = utf8.encode(value);
    return [name, text(bytes, 0, bytes.length)];
  });
}

/** A head with these fields in the place of those with the same names. */
export function withFields(
  head: ResponseHead,
  fields: Pairs,
  without: string[] = [],
): ResponseHead {
  const dropped = new Set([...without, ...fields.map(([name]) => name)].map(lower));
  const kept = head.entries().filter(([name]) => !dropped.has(name.toLowerCase()));
  return ResponseHead.of(head.status, [...kept, ...fields]);
}

/** A request's head with these fields in the place of those with the same names. */
export function requestWith(head: RequestHead, fields: Pairs): RequestHead {
  const dropped = new Set(fields.map(([name]) => name.toLowerCase()));
  const added = latin1(fields.map(([name, value]) => `${name}: ${value}\r\n`).join("") + "\r\n");
  const bytes = new Uint8Array(head.size + added.length);
  const lines = head.count === 0 ? head.at + head.size - 2 : head.nameStart(0);
  let at = copy(bytes, 0, head.bytes, head.at, lines);
  for (let i = 0; i < head.count; i++) {
    if (dropped.has(head.name(i).toLowerCase())) continue;
    at = copy(bytes, at, head.bytes, head.nameStart(i), head.lineEnd(i));
  }
  at = copy(bytes, at, added, 0, added.length);
  const made = new RequestHead();
  made.reset(bytes, 0, 0, 0);
  if (made.feed(at) !== COMPLETE) throw new TypeError(`Cannot make a request: ${made.reason}`);
  return made;
}

/** `Vary` with these names besides those it has. */
export function withVary(head: ResponseHead, ...names: string[]): [string, string] {
  const has = head.entries().filter(([name]) => lower(name) === "vary").map(([, value]) => value);
  const known = has.flatMap((value) => value.split(",")).map((name) => lower(name.trim()));
  if (known.includes("*")) return ["Vary", "*"];
  return ["Vary", [...has, ...names.filter((name) => !known.includes(lower(name)))].join(", ")];
}

function lower(name: string): string {
  return name.toLowerCase();
}
