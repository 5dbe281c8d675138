/** Fixed fields and cross-origin rules. */

import { assertEquals, assertMatch } from "@std/assert";
import type { HeadersConfig } from "../../../../../lib/config/roadrunner/http.ts";
import { answering, mirror, Site } from "./kit.ts";

const CORS: NonNullable<HeadersConfig["cors"]> = {
  allowed_origin: "https://app.example, https://*.shop.example",
  allowed_headers: "X-Token, Content-Type",
  allowed_methods: "GET,PUT",
  allow_credentials: true,
  exposed_headers: "X-A, X-B",
  max_age: 600,
  options_success_status: 204,
  debug: true,
};

function site(headers: Partial<HeadersConfig>, handler = mirror): Site {
  const config = { request: {}, response: {}, ...headers };
  return new Site({ middleware: ["headers"], headers: config }, handler);
}

/** Of an answer, what CORS says. */
function said(answer: { fields: [string, string][] }): [string, string][] {
  return answer.fields.filter(([name]) => /^access-control-|^vary$/i.test(name));
}

Deno.test("headers: fixed fields replace those of the client and of the worker", async () => {
  await using one = site(
    { request: { "X-In": "ours", "X-New": "1" }, response: { "X-Out": "ours", "x-more": "é" } },
    (exchange) => {
      const { head } = exchange;
      const seen = head.entries().filter(([name]) => name.toLowerCase().startsWith("x-"));
      return answering(JSON.stringify(seen), [["X-Out", "theirs"], ["x-out", "again"]])(exchange);
    },
  );
  const answer = await one.ask("GET /a?b", "x-in: theirs", "X-Other: kept");
  assertEquals(JSON.parse(answer.body), [["X-Other", "kept"], ["X-In", "ours"], ["X-New", "1"]]);
  const out = answer.fields.filter(([name]) => name.toLowerCase().startsWith("x-"));
  assertEquals(out, [["X-Out", "ours"], ["x-more", "Ã©"]]);
});

Deno.test("headers: method, target and Host of an edited request are those of the client", async () => {
  await using one = site({ request: { "X-A": "1" } });
  using client = await one.connect();
  await client.request("GET http://other.example/p?q HTTP/1.1", "Host: example.com");
  assertMatch(
    (await client.message()).body,
    /^GET \/p\?q\n127\.0\.0\.1\nHost: example.com\nX-A: 1$/,
  );
});

const PREFLIGHTS: [what: string, fields: string[], said: [string, string][], why?: string][] = [
  [
    "allowed",
    [
      "Origin: https://app.example",
      "Access-Control-Request-Method: PUT",
      "Access-Control-Request-Headers: x-token, content-type",
    ],
    [
      ["Access-Control-Allow-Origin", "https://app.example"],
      ["Access-Control-Allow-Methods", "PUT"],
      ["Access-Control-Allow-Headers", "x-token, content-type"],
      ["Access-Control-Max-Age", "600"],
      ["Access-Control-Allow-Credentials", "true"],
    ],
  ],
  [
    "allowed by the star",
    ["Origin: https://a.shop.example", "Access-Control-Request-Method: GET"],
    [
      ["Access-Control-Allow-Origin", "https://a.shop.example"],
      ["Access-Control-Allow-Methods", "GET"],
      ["Access-Control-Max-Age", "600"],
      ["Access-Control-Allow-Credentials", "true"],
    ],
  ],
  [
    "of a stranger",
    ["Origin: https://evil.example", "Access-Control-Request-Method: GET"],
    [],
    "the origin is not allowed",
  ],
  [
    "of nobody's subdomain",
    ["Origin: https://.shop.example", "Access-Control-Request-Method: GET"],
    [],
    "the origin is not allowed",
  ],
  ["without an origin", ["Access-Control-Request-Method: GET"], [], "no Origin"],
  [
    "for another method",
    ["Origin: https://app.example", "Access-Control-Request-Method: DELETE"],
    [],
    "the method DELETE is not allowed",
  ],
  [
    "for another header",
    [
      "Origin: https://app.example",
      "Access-Control-Request-Method: GET",
      "Access-Control-Request-Headers: x-evil",
    ],
    [],
    "the header x-evil is not allowed",
  ],
];

for (const [what, fields, expected, why] of PREFLIGHTS) {
  Deno.test(`headers: a preflight ${what}`, async () => {
    await using one = site({ cors: CORS }, () => {
      throw new Error("a preflight reached the worker");
    });
    const answer = await one.ask("OPTIONS /", ...fields);
    assertEquals(answer.status, 204);
    const vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    assertEquals(said(answer), [["Vary", vary], ...expected]);
    const told = one.told.map(({ event, data }) => [event, (data as { reason: string }).reason]);
    assertEquals(told, why === undefined ? [] : [["cors_refused", why]]);
  });
}

Deno.test("headers: an actual request of an allowed origin, of another, of none", async () => {
  await using one = site({ cors: CORS }, answering("x", [["Vary", "Accept-Encoding"]]));
  const vary: [string, string] = ["Vary", "Accept-Encoding, Origin"];
  assertEquals(said(await one.ask("GET /", "Origin: https://app.example")), [
    vary,
    ["Access-Control-Allow-Origin", "https://app.example"],
    ["Access-Control-Expose-Headers", "X-A, X-B"],
    ["Access-Control-Allow-Credentials", "true"],
  ]);
  assertEquals(said(await one.ask("GET /", "Origin: https://evil.example")), [vary]);
  assertEquals(said(await one.ask("DELETE /", "Origin: https://app.example")), [vary]);
  assertEquals(said(await one.ask("GET /")), [vary]);
});

Deno.test("headers: a plain OPTIONS is the worker's", async () => {
  await using one = site({ cors: CORS }, answering("worker"));
  assertEquals((await one.ask("OPTIONS /")).body, "worker");
});

Deno.test("headers: all origins, and origins by an expression", async () => {
  const open = { ...CORS, allow_credentials: false, exposed_headers: "" };
  await using all = site({ cors: { ...open, allowed_origin: "*" } });
  assertEquals(said(await all.ask("GET /", "Origin: https://any.example")), [
    ["Vary", "Origin"],
    ["Access-Control-Allow-Origin", "*"],
  ]);
  const regex = { ...open, allowed_origin: "*", allowed_origin_regex: "^https://[a-z]+\\.x$" };
  await using some = site({ cors: regex });
  assertEquals(said(await some.ask("GET /", "Origin: https://abc.x")), [
    ["Vary", "Origin"],
    ["Access-Control-Allow-Origin", "https://abc.x"],
  ]);
  assertEquals(said(await some.ask("GET /", "Origin: https://1.x")), [["Vary", "Origin"]]);
});
