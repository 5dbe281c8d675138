/**
 * The protobuf form of a request's context: message `http.v1.Request`.
 *
 * Invariant: strings are valid UTF-8; values that are `bytes` in newer packages are too, because in
 * older ones they are strings.
 */

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { text } from "../../lib/http/bytes.ts";
import { remoteOf, type RequestHead } from "../../lib/http/mod.ts";
import type { Asked } from "./context.ts";
import { canonical } from "./context_json.ts";
import { cookiesOf } from "./cookies.ts";
import { Grouped } from "./grouped.ts";
import { putQuery, putUri, uriRoom } from "./uri.ts";
import { validUtf8 } from "./utf8.ts";

/** Field numbers of `Request`. */
const Field = {
  remoteAddr: 1,
  protocol: 2,
  method: 3,
  uri: 4,
  header: 5,
  cookies: 6,
  rawQuery: 7,
  parsed: 8,
  uploads: 9,
} as const;

const grouped = new Grouped();

/** The context as bytes. */
export function protobufContext(asked: Asked): Uint8Array {
  const { head, parsed, uploads } = asked;
  const out = new BinaryWriter();
  const scratch = new Uint8Array(uriRoom(asked));
  string(out, Field.remoteAddr, remoteOf(asked.client));
  string(out, Field.protocol, `HTTP/1.${head.minor}`);
  string(out, Field.method, head.method);
  string(out, Field.uri, text(scratch, 0, putUri(scratch, 0, asked)));
  grouped.group(head);
  for (const first of grouped.firsts) {
    const name = canonical(head.bytes, head.nameStart(first), head.nameEnd(first));
    entry(out, Field.header, name, valuesOf(head, first));
  }
  if (grouped.cookie >= 0) {
    for (const [name, value] of cookiesOf(head, grouped)) {
      entry(out, Field.cookies, name, [validUtf8(value, 0, value.length)]);
    }
  }
  string(out, Field.rawQuery, text(scratch, 0, putQuery(scratch, 0, asked)));
  if (parsed) out.tag(Field.parsed, WireType.Varint).bool(true);
  if (uploads !== null) string(out, Field.uploads, uploads);
  return out.finish();
}

function valuesOf(head: RequestHead, first: number): Uint8Array[] {
  const values: Uint8Array[] = [];
  for (let i = first; i >= 0; i = grouped.next(i)) {
    values.push(validUtf8(head.bytes, head.valueStart(i), head.valueEnd(i)));
  }
  return values;
}

/** A field of text; the default, an empty one, is not written. */
function string(out: BinaryWriter, field: number, value: string): void {
  if (value !== "") out.tag(field, WireType.LengthDelimited).string(value);
}

/** An entry of a `map<string, HeaderValue>`. */
function entry(out: BinaryWriter, field: number, name: string, values: Uint8Array[]): void {
  out.tag(field, WireType.LengthDelimited).fork();
  out.tag(1, WireType.LengthDelimited).string(name);
  out.tag(2, WireType.LengthDelimited).fork();
  for (const value of values) out.tag(1, WireType.LengthDelimited).bytes(value);
  out.join();
  out.join();
}
