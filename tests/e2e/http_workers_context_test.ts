/** What workers get of a request: context and body, in JSON and in protobuf. */

import { assertEquals } from "@std/assert";
import { ask, type Echo, echoOf, httpTest, type Site } from "../kit/http_workers.ts";
import { RawPeer } from "../kit/raw_http.ts";

const FORM = "Content-Type: application/x-www-form-urlencoded";

/** Forms of which everybody makes the same. */
const NASTY = [
  "a=1&a=2",
  "a[]=1&a[]=2&a[]=",
  "a[b][c]=1&a[b][d]=2&a[e]=3",
  "a[0]=x&a[5]=y&a[z]=w",
  "plus=a+b&percent=%41%zz%",
  "empty&also=",
  "a=1;b=2",
  "u=%C3%BC&%C3%BC=1&emoji=%F0%9F%98%80",
  "deep[a][b][c][d][e][f]=1",
  "null=%00x",
  "&&&a=1&&",
  "q=%26%3D&%26=amp",
];

/** Forms of which RoadRunner makes something else than PHP: what programs behind it are used to. */
const ROADRUNNER: [form: string, tree: unknown][] = [
  ["=nothing", { "": "nothing" }],
  ["a.b=1&c d=2", { "a.b": "1", cd: "2" }],
  ["a[][b]=1&a[][b]=2", { a: { "": { b: "2" } } }],
  ["arr[c]p=1", { arr: { c: { p: "1" } } }],
  ["a=&a[b]=1", { a: { b: "1" } }],
];

for (const encoding of ["json", "protobuf"] as const) {
  httpTest(`${encoding}: the context`, { http: { encoding } }, async (site) => {
    const { flags, context, body } = echoOf(
      await site.ask("POST /echo?x=%C3%BC&y[]=1&a+b=%zz&&", [
        "Host: shop.example:8080",
        "x-lower-case: 1",
        "X-Two: a",
        "x-two: b",
        'User-Agent: "q" \\ é',
        "Cookie: sid=a%20b; bad=%zz; sid=last; x=1",
        "Cookie: y=2",
        "Proxy: http://evil",
        "X_Forwarded_For: 1.2.3.4",
        "Content-Type: text/plain",
      ], "raw \xff"),
    );
    assertEquals(flags, encoding === "json" ? 0x08 : 0x80);
    assertEquals(context.remoteAddr, "127.0.0.1");
    assertEquals([context.protocol, context.method], ["HTTP/1.1", "POST"]);
    assertEquals(context.uri, "http://shop.example:8080/echo?x=%C3%BC&y[]=1&a+b=%zz&&");
    assertEquals(context.rawQuery, "x=%C3%BC&y[]=1&a+b=%zz&&");
    assertEquals([context.parsed, context.uploads], [false, null]);
    // PHP shows an empty map as an empty list.
    assertEquals(context.attributes, []);
    assertEquals(context.cookies, { sid: "last", x: "1", y: "2" });
    assertEquals(context.headers, {
      "X-Lower-Case": ["1"],
      "X-Two": ["a", "b"],
      "User-Agent": ['"q" \\ \ufffd'],
      "Cookie": ["sid=a%20b; bad=%zz; sid=last; x=1", "y=2"],
      "Content-Type": ["text/plain"],
      "Content-Length": ["5"],
    });
    assertEquals(atob(body), "raw \xff");
  });

  httpTest(`${encoding}: forms are what PHP's parser makes of them`, {
    http: { encoding },
    files: { "parse.php": "<?php parse_str($argv[1], $all); echo json_encode((object) $all);" },
  }, async (site) => {
    for (const text of NASTY) {
      const { context, body } = echoOf(await site.ask("POST /echo", [FORM], text));
      assertEquals(context.parsed, true);
      const mine = JSON.parse(utf8(body));
      const { stdout } = await site.daemon.run(["php", site.daemon.path("parse.php"), text]);
      assertEquals(normal(mine), normal(JSON.parse(stdout)), text);
    }
    for (const [text, tree] of ROADRUNNER) {
      const { body } = echoOf(await site.ask("POST /echo", [FORM], text));
      assertEquals(JSON.parse(utf8(body)), tree, text);
    }
    const both = await site.ask("POST /echo", [FORM], "a=1&a[b]=1");
    assertEquals(both.status, 400);
  });
}

httpTest("which bodies are forms, and for which methods", {}, async (site) => {
  const echoed = async (method: string, fields: string[], body: string) => {
    const { context, body: got } = echoOf(await site.ask(`${method} /echo`, fields, body));
    return [context.parsed, atob(got)];
  };
  assertEquals(await echoed("POST", [FORM], "a=1"), [true, '{"a":"1"}']);
  assertEquals(await echoed("DELETE", [FORM], "a=1"), [true, '{"a":"1"}']);
  assertEquals(await echoed("DELETE", [], "a=1"), [false, "a=1"]);
  assertEquals(await echoed("GET", ["Content-Type: application/json"], "{}"), [false, "{}"]);
  assertEquals(await echoed("POST", [`${FORM}; charset=utf-8`], ""), [true, "{}"]);
  assertEquals(await echoed("OPTIONS", [FORM], "a=1"), [false, ""]);
  assertEquals(await echoed("PURGE", [], ""), [false, ""]);
});

httpTest("raw_body: forms as they came", { http: { raw_body: true } }, async (site) => {
  const { context, body } = echoOf(await site.ask("POST /echo", [FORM], "a=%41&a[]=1"));
  assertEquals([context.parsed, context.uploads, atob(body)], [false, null, "a=%41&a[]=1"]);
});

httpTest("max_request_size, and clients that ask before they send", {
  http: { max_request_size: "10KiB" },
}, async (site) => {
  const tooLarge = "serve_http: http: request body too large\n";
  const large = "x".repeat(10_241);
  const refused = await site.ask("POST /echo", [], large);
  assertEquals([refused.status, refused.body], [413, tooLarge]);
  assertEquals((await site.ask("POST /echo", [], "x".repeat(10_240))).status, 200);
  // In chunks, where nobody says how long it will be.
  {
    using client = await site.connect();
    await client.request("POST /echo HTTP/1.1", "Host: h", "Transfer-Encoding: chunked");
    await client.send(`${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`);
    const answer = await client.message();
    assertEquals([answer.status, answer.body], [413, tooLarge]);
  }
  using client = await site.connect();
  const expect = ["Host: h", "Expect: 100-continue"];
  await client.request("POST /echo HTTP/1.1", ...expect, "Content-Length: 3");
  assertEquals((await client.head()).status, 100);
  await client.send("abc");
  assertEquals(atob(echoOf(await client.message()).body), "abc");
  await client.request("POST /echo HTTP/1.1", ...expect, "Content-Length: 20000");
  assertEquals((await client.message()).status, 413);
});

httpTest("the client's address behind trusted proxies", {
  http: { middleware: ["proxy_ip_parser"], trusted_subnets: ["127.0.0.0/8", "10.0.0.0/8"] },
}, async (site) => {
  const seen = async (...fields: string[]) => (await echo(site, fields)).context.remoteAddr;
  assertEquals(await seen(), "127.0.0.1");
  assertEquals(await seen("X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.1.1.1"), "203.0.113.7");
  assertEquals(await seen("X-Real-IP: 2001:db8::1"), "2001:db8::1");
  assertEquals(await seen('Forwarded: for="[2001:db8::2]:80";proto=https'), "2001:db8::2");
  assertEquals(await seen("X-Forwarded-For: not an address"), "127.0.0.1");
  assertEquals(await seen("X_Forwarded_For: 6.6.6.6"), "127.0.0.1");
});

httpTest("a stranger's word about its address is not believed", {
  http: { middleware: ["proxy_ip_parser"], trusted_subnets: ["10.0.0.0/8"] },
}, async (site) => {
  const { context } = await echo(site, ["X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6"]);
  assertEquals(context.remoteAddr, "127.0.0.1");
});

httpTest("a Unix socket as address", (dir) => ({
  http: { address: `unix://${dir}/http.sock`, access_logs: true },
}), async ({ daemon }) => {
  using client = new RawPeer(
    await Deno.connect({ transport: "unix", path: daemon.path("http.sock") }),
  );
  const { context } = echoOf(await ask(client, "GET /echo"));
  assertEquals([context.remoteAddr, context.uri], ["127.0.0.1", "http://shop.example/echo"]);
  assertEquals((await ask(client, "GET /")).body, "ok");
});

async function echo(site: Site, fields: string[]): Promise<Echo> {
  return echoOf(await site.ask("GET /echo", fields));
}

function utf8(base64: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
}

/** Lists and maps with the same keys are the same to PHP. */
function normal(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, normal(one)]));
}
