/** Contexts of requests: what workers are told, in both encodings. */

import { assertEquals } from "@std/assert";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { latin1 } from "../../../../lib/http/bytes.ts";
import { RequestHead } from "../../../../lib/http/mod.ts";
import { jsonContext } from "../../../../plugins/http/context_json.ts";
import { protobufContext } from "../../../../plugins/http/context_proto.ts";
import type { Asked } from "../../../../plugins/http/context.ts";
import { hostProblem } from "../../../../plugins/http/uri.ts";
import { forSeeds } from "../../../kit/random.ts";

const CLIENT = { address: "127.0.0.1", port: 50_123 };

/** A request as it stands on the wire, Latin-1. */
function asked(lines: string[], more: Partial<Asked> = {}): Asked {
  const bytes = latin1(["", "", ...lines, "", ""].join("\r\n"));
  const head = new RequestHead();
  head.reset(bytes, 0, 0, 0);
  assertEquals([head.feed(bytes.length), head.reason], [1, ""]);
  return { head, client: CLIENT, tls: false, parsed: false, uploads: null, ...more };
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function json(lines: string[], more: Partial<Asked> = {}) {
  return JSON.parse(textOf(jsonContext(asked(lines, more))));
}

Deno.test("JSON: the example of the protocol, byte by byte", () => {
  const request = asked(["GET /hints HTTP/1.1", "Host: localhost:8080", "accept: */*"]);
  assertEquals(
    textOf(jsonContext(request)),
    `{"remoteAddr":"127.0.0.1","protocol":"HTTP/1.1","method":"GET","uri":"http://localhost:8080/hints",` +
      `"headers":{"Accept":["*/*"]},"cookies":{},"rawQuery":"","parsed":false,"uploads":null,` +
      `"attributes":{}}`,
  );
});

Deno.test("JSON: a form with a cookie, a query and files", () => {
  const uploads = `{"f":{"name":"a.txt"}}`;
  const context = json([
    "POST /form?q=1&r=%2F HTTP/1.1",
    "Host: localhost:8080",
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Length: 3",
    'Cookie: sid=a%20b; bad=%zz; quoted="x+y"; =nameless; sid=last; novalue',
    "Cookie: second=2",
  ], { parsed: true, uploads, tls: true });
  assertEquals(context.uri, "https://localhost:8080/form?q=1&r=%2F");
  assertEquals(context.rawQuery, "q=1&r=%2F");
  assertEquals(context.cookies, { sid: "last", quoted: "x y", second: "2" });
  assertEquals([context.parsed, context.uploads], [true, { f: { name: "a.txt" } }]);
  assertEquals(Object.keys(context.headers), ["Content-Type", "Content-Length", "Cookie"]);
});

Deno.test("JSON: names are canonical, equal ones make one list, in order", () => {
  const context = json([
    "GET / HTTP/1.1",
    "Host: h",
    "x-one: 1",
    "X-OTHER-thing: a",
    "X-One: 2",
    "sec-ch-ua-PLATFORM: p",
    "x-oNE: 3",
    "empty:",
    "1-numeric: n",
  ]);
  assertEquals(context.headers, {
    "X-One": ["1", "2", "3"],
    "X-Other-Thing": ["a"],
    "Sec-Ch-Ua-Platform": ["p"],
    "Empty": [""],
    "1-Numeric": ["n"],
  });
});

Deno.test("JSON: nothing of one head is left for the next", () => {
  json(["GET / HTTP/1.1", "X-B: 1", "X-A: 1", "Host: h", "Cookie: a=b"]);
  const context = json(["GET / HTTP/1.1", "X-A: 1", "X-A: 2", "Host: h"]);
  assertEquals([context.headers, context.cookies], [{ "X-A": ["1", "2"] }, {}]);
});

Deno.test("JSON: a URI of quotes, as long as it may be", () => {
  const target = `/${'"'.repeat(30_000)}?${"\\".repeat(30_000)}`;
  const { uri, rawQuery } = json([`GET ${target} HTTP/1.1`, "Host: h"]);
  assertEquals([uri === `http://h${target}`, rawQuery.length], [true, 30_000]);
});

Deno.test("JSON: what concerns the connection, or disguises itself, stays outside", () => {
  const context = json([
    "POST / HTTP/1.1",
    "Host: h",
    "Transfer-Encoding: chunked",
    "Keep-Alive: 5",
    "Proxy: http://evil",
    "Proxy-Connection: close",
    "X_Forwarded_For: 1.2.3.4",
    "X-Forwarded-For: 5.6.7.8",
    "Connection: close",
  ]);
  assertEquals(context.headers, { "X-Forwarded-For": ["5.6.7.8"], "Connection": ["close"] });
});

Deno.test("JSON: bytes that are no UTF-8, quotes and control bytes do no harm", () => {
  const context = json([
    `GET /a"b\\c\xff?x=\xe4#f HTTP/1.1`,
    "Host: h",
    `X-Quoted: a"b\\c\td`,
    "X-Utf8: gr\xc3\xbc\xc3\x9fe \xf0\x9f\x98\x80",
    "X-Broken: \xff\xfe \xc3( \xed\xa0\x80 \xc0\xaf \xf4\x90\x80\x80 end\xe2\x82",
    "Cookie: c=%00%1f%ff%c3%bc",
  ]);
  assertEquals(context.uri, `http://h/a"b\\c%FF?x=%E4%23f`);
  assertEquals(context.rawQuery, "x=%E4%23f");
  const rest = Object.values(context.headers).flat();
  assertEquals(rest.slice(0, 2), [`a"b\\c\td`, "grüße 😀"]);
  assertEquals(rest[2], "�� �( ��� �� ���� end��");
  assertEquals(context.cookies, { c: "\0\x1f�ü" });
});

Deno.test("JSON: who asks, by which protocol, for which host", () => {
  const bare = ["GET / HTTP/1.0"];
  assertEquals(json(bare).protocol, "HTTP/1.0");
  assertEquals(json(bare).uri, "http://localhost/");
  assertEquals(json(["OPTIONS * HTTP/1.1", "Host: h"]).uri, "http://h/*");
  assertEquals(json(["GET http://a.b:81?x=1 HTTP/1.1", "Host: other"]).uri, "http://a.b:81/?x=1");
  assertEquals(json(["GET / HTTP/1.1", "Host:"]).uri, "http://localhost/");
  const remote = (address: string) => json(bare, { client: { address, port: 1 } }).remoteAddr;
  assertEquals(remote("::ffff:10.0.0.7"), "10.0.0.7");
  assertEquals(remote("2001:db8::1"), "2001:db8::1");
  assertEquals(remote(""), "127.0.0.1");
});

Deno.test("JSON: many fields, long ones, with what one of them grows to", () => {
  const lines = ["GET / HTTP/1.1", "Host: h"];
  for (let i = 0; i < 2000; i++) lines.push(`X-${i % 1500}: ${"\t\xff".repeat(20)}${i}`);
  const { headers } = json(lines);
  assertEquals(Object.keys(headers).length, 1500);
  assertEquals(headers["X-3"].length, 2);
});

Deno.test("JSON: random values are always read back", async () => {
  await forSeeds(1000, (random) => {
    const values = Array.from({ length: random.int(1, 6) }, () => {
      const bytes = Array.from({ length: random.int(0, 12) }, () => {
        const high = random.int(128, 255);
        return random.pick([9, 34, 92, random.int(65, 125), high, high, high]);
      });
      return `x${String.fromCharCode(...bytes)}y`;
    });
    const lines = values.map((value, i) => `X-F${i}: ${value}`);
    const { headers } = json(["GET / HTTP/1.1", "Host: h", ...lines]);
    values.forEach((value, i) => {
      assertEquals(headers[`X-F${i}`], [reference(latin1(value))]);
    });
  });
});

/** Every byte by itself, unless it begins a sequence that decodes. */
function reference(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let out = "";
  for (let p = 0; p < bytes.length;) {
    let length = 4;
    for (; length > 0; length--) {
      try {
        const text = decoder.decode(bytes.subarray(p, p + length));
        if (p + length > bytes.length || [...text].length !== 1) continue;
        out += text;
        break;
      } catch {
        // Not a sequence of this length.
      }
    }
    if (length === 0) {
      out += "�";
      length = 1;
    }
    p += length;
  }
  return out;
}

Deno.test("a host that no program can read is refused", () => {
  const of = (host: string) =>
    hostProblem(asked(["GET / HTTP/1.1", `Host: ${host}`])) === undefined;
  assertEquals(
    ["h", "h:80", "[::1]:8080", "[::1]", "", "h:", "h:65535"].map(of),
    Array(7).fill(true),
  );
  assertEquals([":80", "h:65536", "h:99999999999999999999"].map(of), [false, false, false]);
});

/** A message as field numbers and values; maps and HeaderValue by depth. */
function fields(bytes: Uint8Array): [field: number, value: Uint8Array | number][] {
  const reader = new BinaryReader(bytes);
  const all: [number, Uint8Array | number][] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    all.push([field, type === WireType.Varint ? reader.uint32() : reader.bytes()]);
  }
  return all;
}

Deno.test("protobuf: the example of the protocol, byte by byte", () => {
  // The example has Host among the headers, which both sides tolerate; ours leaves it out.
  const request = asked(["GET /?a=1 HTTP/1.1", "Host: localhost", "Host2: localhost"]);
  const hex = "0a093132372e302e302e311208485454502f312e311a03474554" +
    "2215687474703a2f2f6c6f63616c686f73742f3f613d31" +
    "2a140a05486f737432120b0a096c6f63616c686f73743a03613d31";
  assertEquals(protobufContext(request).toHex(), hex);
});

Deno.test("protobuf: lists, cookies, files, and bytes that are no UTF-8", () => {
  const request = asked([
    "PUT /%00?q HTTP/1.1",
    "Host: h",
    "X-A: 1",
    "x-a: \xff2",
    "Cookie: c=%ff; d=e",
  ], { parsed: true, uploads: "{}" });
  const all = fields(protobufContext(request));
  const entries = (field: number) =>
    all.filter(([one]) => one === field).map(([, entry]) => {
      const [[, name], [, value]] = fields(entry as Uint8Array);
      const values = fields(value as Uint8Array).map(([, one]) => textOf(one as Uint8Array));
      return [textOf(name as Uint8Array), values];
    });
  assertEquals(entries(5), [["X-A", ["1", "�2"]], ["Cookie", ["c=%ff; d=e"]]]);
  assertEquals(entries(6), [["c", ["�"]], ["d", ["e"]]]);
  const last = all.slice(-3).map(([field, value]) => [
    field,
    typeof value === "number" ? value : textOf(value),
  ]);
  assertEquals(last, [[7, "q"], [8, 1], [9, "{}"]]);
});
