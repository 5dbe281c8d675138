/** Middleware in front of PHP workers: headers and CORS, gzip, static files, sendfile, their order. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ask, echoOf, httpTest, route, type Site } from "../kit/http_workers.ts";

const SCRIPT = "console.log('hello');\n".repeat(200);

httpTest("fixed fields, and what a browser of another origin may do", {
  http: {
    middleware: ["headers"],
    headers: {
      request: { "X-From": "edge" },
      response: { "X-Powered-By": "PHP" },
      cors: {
        allowed_origin: "https://app.example, https://*.shop.example",
        allowed_headers: "content-type",
        allowed_methods: "GET,PUT",
        allow_credentials: true,
        exposed_headers: "X-A",
        max_age: 600,
      },
    },
  },
}, async (site) => {
  const seen = await site.ask("GET /echo", ["X-From: client", "Origin: https://app.example"]);
  assertEquals(echoOf(seen).context.headers["X-From"], ["edge"]);
  assertEquals(seen.get("x-powered-by"), "PHP");
  assertEquals(seen.get("access-control-allow-origin"), "https://app.example");
  assertEquals(seen.get("access-control-allow-credentials"), "true");
  assertEquals(seen.get("access-control-expose-headers"), "X-A");
  assertMatch(seen.get("vary") ?? "", /Origin/);
  const preflight = (origin: string, method: string) =>
    site.ask("OPTIONS /anything", [
      `Origin: ${origin}`,
      `Access-Control-Request-Method: ${method}`,
      "Access-Control-Request-Headers: content-type",
    ]);
  const allowed = await preflight("https://eu.shop.example", "PUT");
  assertEquals([allowed.status, allowed.get("access-control-allow-methods")], [200, "PUT"]);
  assertEquals(allowed.get("access-control-max-age"), "600");
  for (
    const [origin, method] of [
      ["https://evil.example", "GET"],
      ["https://app.example.evil.example", "GET"],
      ["https://app.example", "DELETE"],
      ["null", "GET"],
    ]
  ) {
    const refused = await preflight(origin, method);
    assertEquals(refused.get("access-control-allow-origin"), undefined, origin);
  }
  const { workers } = (await site.daemon.ok("workers", "--json")).json();
  assertEquals(workers[0].jobs, 1);
});

httpTest("gzip: what is worth it, for who takes it", {
  http: { middleware: ["gzip", "static"], static: { dir: "public" } },
  files: { "public/app.js": SCRIPT, "public/tiny.js": "x", "public/photo.jpg": "x".repeat(5000) },
}, async (site) => {
  const encoding = async (path: string, ...fields: string[]) => {
    const answer = await site.ask(`GET ${path}`, fields);
    return [answer.status, answer.get("content-encoding"), answer.get("vary")];
  };
  const gzip = "Accept-Encoding: br, gzip";
  const vary = "Accept-Encoding";
  assertEquals(await encoding("/app.js", gzip), [200, "gzip", vary]);
  assertEquals(await encoding("/app.js"), [200, undefined, vary]);
  assertEquals(await encoding("/app.js", "Accept-Encoding: gzip;q=0"), [200, undefined, vary]);
  assertEquals(await encoding("/tiny.js", gzip), [200, undefined, undefined]);
  assertEquals(await encoding("/photo.jpg", gzip), [200, undefined, undefined]);
  assertEquals(await encoding("/app.js", gzip, "Range: bytes=0-1999"), [206, undefined, undefined]);
  assertEquals(await encoding("/body?bytes=1000", gzip), [200, undefined, undefined]);
  assertEquals(await encoding("/body?bytes=100000", gzip), [200, "gzip", vary]);
  // A browser's way, and curl's.
  const response = await fetch(`http://127.0.0.1:${site.port}/app.js`);
  assertEquals(await response.text(), SCRIPT);
  const url = `http://127.0.0.1:${site.port}/body?bytes=100000`;
  const curl = await site.daemon.run(["curl", "-s", "--compressed", url]);
  assertEquals([curl.code, curl.stdout.length], [0, 100_000]);
});

/** Ways out of the directory, and into what is not to be served. */
const ESCAPES = [
  "/../secret.txt",
  "/a/../../secret.txt",
  "/%2e%2e/secret.txt",
  "/%2E%2e%2fsecret.txt",
  "/..%2fsecret.txt",
  "/a/..%2f..%2fsecret.txt",
  "/.%2e/secret.txt",
  "/%252e%252e/secret.txt",
  "/..\\secret.txt",
  "/..%5csecret.txt",
  "/..%c0%afsecret.txt",
  "/app.js%00.txt",
  "/app.js/../../secret.txt",
  "//etc/passwd.txt",
  "/out.txt",
  "/outdir/secret.txt",
  "/.env.txt",
  "/index.php",
  "/INDEX.PHP",
  "/index.php/x.txt",
  "/php.txt",
];

httpTest("static files: found, remembered, in parts, and no way out", {
  http: {
    middleware: ["static"],
    static: {
      dir: "public",
      forbid: [".php"],
      calculate_etag: true,
      response: { "Cache-Control": "max-age=60" },
    },
  },
  files: {
    "public/app.js": SCRIPT,
    "public/ü b.txt": "umlaut",
    "public/index.php": "<?php secret",
    "public/.env.txt": "secret",
    "secret.txt": "secret",
  },
}, async (site) => {
  const at = (name: string) => site.daemon.path("public", name);
  Deno.symlinkSync("../secret.txt", at("out.txt"));
  Deno.symlinkSync("..", at("outdir"));
  Deno.symlinkSync("index.php", at("php.txt"));
  Deno.symlinkSync("app.js", at("inside.js"));
  using client = await site.connect();
  const file = await ask(client, "GET /app.js?v=1");
  assertEquals([file.status, file.body, file.get("cache-control")], [200, SCRIPT, "max-age=60"]);
  assertMatch(file.get("content-type") ?? "", /^(text|application)\/javascript/);
  const [etag, modified] = [file.get("etag")!, file.get("last-modified")!];
  for (const condition of [`If-None-Match: ${etag}`, `If-Modified-Since: ${modified}`]) {
    const unchanged = await ask(client, "GET /app.js", [condition]);
    assertEquals([unchanged.status, unchanged.body, unchanged.get("etag")], [304, "", etag]);
  }
  const range = await ask(client, "GET /app.js", ["Range: bytes=1-3"]);
  assertEquals([range.status, range.body], [206, SCRIPT.slice(1, 4)]);
  assertEquals(range.get("content-range"), `bytes 1-3/${SCRIPT.length}`);
  assertEquals((await ask(client, "GET /app.js", ["Range: bytes=99999-"])).status, 416);
  const head = await ask(client, "HEAD /app.js");
  assertEquals([head.status, head.get("content-length")], [200, String(SCRIPT.length)]);
  assertEquals((await ask(client, "GET /inside.js")).body, SCRIPT);
  assertEquals((await ask(client, "GET /%C3%BC%20b.txt")).body, "umlaut");
  assertEquals((await ask(client, "POST /app.js")).status, 404);
  for (const path of ESCAPES) {
    const { status, body } = await site.ask(`GET ${path}`);
    assert([400, 403, 404].includes(status), `${path}: ${status}`);
    assertEquals(/secret|root:/.test(body), false, path);
  }
});

httpTest("sendfile: the worker names a file, the client gets it and not its name", {
  http: { middleware: ["sendfile"] },
  files: { "report.txt": "the report" },
}, async (site) => {
  const of = (path: string) => site.ask(`GET ${route("/sendfile", { path })}`);
  const sent = await of(site.daemon.path("report.txt"));
  assertEquals([sent.status, sent.body, sent.get("x-sendfile")], [200, "the report", undefined]);
  for (const [path, status] of [["/nowhere/at/all", 404], ["/tmp", 500], ["/dev/zero", 500]]) {
    const failed = await of(String(path));
    assertEquals([failed.status, failed.get("x-sendfile")], [Number(status), undefined]);
  }
  assertEquals((await site.told("sendfile_failed")).length, 3);
});

for (
  const [middleware, encoding] of [
    [["gzip", "sendfile"], "gzip"],
    [["sendfile", "gzip"], undefined],
  ] as const
) {
  httpTest(`order: ${middleware.join(", ")}, the first is the outermost`, {
    http: { middleware: [...middleware] },
    files: { "report.txt": "the report ".repeat(1000) },
  }, async (site) => {
    const answer = await sendfile(site);
    assertEquals([answer.status, answer.get("content-encoding")], [200, encoding]);
  });
}

function sendfile(site: Site) {
  const path = site.daemon.path("report.txt");
  return site.ask(`GET ${route("/sendfile", { path })}`, ["Accept-Encoding: gzip"]);
}
