/** Files of a directory: what is served, what is the worker's, and what nobody gets. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { StaticConfig } from "../../../../../lib/config/roadrunner/http.ts";
import { Failure } from "../../../../../lib/core/failure.ts";
import { Scratch } from "../../../../kit/scratch.ts";
import { until } from "../../../../kit/wait.ts";
import { answering, mirror, Site } from "./kit.ts";

const WORKER = "the worker's";

class Files implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly site: Site;

  constructor(more: Partial<StaticConfig> = {}, handler = answering(WORKER)) {
    this.scratch.write("public/app.css", "body { color: red }");
    this.scratch.write("public/sub dir/ä.txt", "umlaut");
    this.scratch.write("public/index.php", "<?php secret();");
    this.scratch.write("public/noext", "none");
    this.scratch.write("public/.env.txt", "secret");
    this.scratch.write("public/.well-known/security.txt", "contact");
    this.scratch.write("public/empty.txt", "");
    this.scratch.write("secret.txt", "secret");
    this.link("../secret.txt", "public/out.txt");
    this.link("index.php", "public/source.txt");
    this.link("app.css", "public/alias.css");
    this.link("nowhere.css", "public/dangling.css");
    Deno.mkdirSync(this.scratch.path("public/dir.css"));
    new Deno.Command("mkfifo", { args: [this.scratch.path("public/pipe.txt")] }).outputSync();
    const config: StaticConfig = {
      dir: this.scratch.path("public"),
      forbid: [".php"],
      allow: [],
      calculate_etag: true,
      weak: false,
      request: {},
      response: {},
      ...more,
    };
    this.site = new Site({ middleware: ["static"], static: config }, handler);
  }

  link(to: string, name: string): void {
    Deno.symlinkSync(to, this.scratch.path(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
    this.scratch[Symbol.dispose]();
  }
}

const PATHS: [path: string, status: number, body: string | RegExp][] = [
  ["/app.css", 200, "body { color: red }"],
  ["/app.css?v=1", 200, "body { color: red }"],
  ["//app.css", 200, "body { color: red }"],
  ["/./app.css", 200, "body { color: red }"],
  ["/%61pp.css", 200, "body { color: red }"],
  ["/sub%20dir/%C3%A4.txt", 200, "umlaut"],
  ["/alias.css", 200, "body { color: red }"],
  ["/.well-known/security.txt", 200, "contact"],
  ["/empty.txt", 200, ""],
  ["/", 200, WORKER],
  ["/missing.css", 200, WORKER],
  ["/app.css/more.css", 200, WORKER],
  ["/app.css/", 200, WORKER],
  ["/noext", 200, WORKER],
  ["/.env.txt", 200, WORKER],
  ["/index.php", 200, WORKER],
  ["/index.PHP", 200, WORKER],
  ["/index%2Ephp", 200, WORKER],
  ["/source.txt", 200, WORKER],
  ["/dangling.css", 200, WORKER],
  ["/dir.css", 200, WORKER],
  ["/dir.css/", 200, WORKER],
  ["/pipe.txt", 200, WORKER],
  ["/%ff.css", 200, WORKER],
  ["/%zz.css", 200, WORKER],
  [`/${"a".repeat(5000)}.css`, 200, WORKER],
  ["/..\\secret.txt", 200, WORKER],
  ["/out.txt", 403, /no way/],
  ["/../secret.txt", 403, /no way/],
  ["/sub%20dir/../app.css", 403, /no way/],
  ["/%2e%2e/secret.txt", 403, /no way/],
  ["/%2e%2e%2fsecret.txt", 403, /no way/],
  ["/..%2fsecret.txt", 403, /no way/],
  ["/app.css%00.txt", 403, /no way/],
];

Deno.test("static: every path ends where it should", async (t) => {
  await using files = new Files();
  for (const [path, status, body] of PATHS) {
    await t.step(path.slice(0, 40), async () => {
      const answer = await files.site.ask(`GET ${path}`);
      assertEquals(answer.status, status);
      if (typeof body === "string") assertEquals(answer.body, body);
      else assertMatch(answer.body, body);
    });
  }
});

Deno.test("static: only GET and HEAD, and only what is allowed", async () => {
  await using files = new Files({ allow: [".txt"] });
  assertEquals((await files.site.ask("POST /empty.txt", "Content-Length: 0")).body, WORKER);
  assertEquals((await files.site.ask("GET /app.css")).body, WORKER);
  assertEquals((await files.site.ask("GET /.well-known/security.txt")).body, "contact");
});

Deno.test("static: fields of the answer, HEAD, and both kinds of unchanged", async () => {
  await using files = new Files({ response: { "Cache-Control": "max-age=60" } });
  const { site, scratch } = files;
  Deno.utimeSync(scratch.path("public/app.css"), 1_700_000_000, 1_700_000_000);
  const got = await site.ask("GET /app.css");
  const modified = "Tue, 14 Nov 2023 22:13:20 GMT";
  const etag = got.get("etag")!;
  assertMatch(etag, /^"[0-9a-f-]+"$/);
  assertEquals(got.get("last-modified"), modified);
  assertEquals(got.get("content-type"), "text/css; charset=utf-8");
  assertEquals(got.get("cache-control"), "max-age=60");
  assertEquals([got.get("accept-ranges"), got.get("content-length")], ["bytes", "19"]);
  const head = await site.ask("HEAD /app.css");
  assertEquals([head.status, head.get("content-length"), head.get("etag")], [200, "19", etag]);
  for (
    const [field, status] of [
      [`If-None-Match: ${etag}`, 304],
      [`If-None-Match: "x", W/${etag}`, 304],
      ["If-None-Match: *", 304],
      ['If-None-Match: "x"', 200],
      [`If-Modified-Since: ${modified}`, 304],
      ["If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT", 200],
      ["If-Modified-Since: yesterday", 200],
      [`If-None-Match: "x"\r\nIf-Modified-Since: ${modified}`, 200],
    ] as const
  ) {
    const answer = await site.ask("GET /app.css", field);
    assertEquals(answer.status, status, field);
    if (status !== 304) continue;
    assertEquals([answer.get("etag"), answer.get("cache-control")], [etag, "max-age=60"]);
    assertEquals(answer.get("content-length"), undefined);
  }
  scratch.write("public/app.css", "body { color: blue }");
  assertEquals((await site.ask("GET /app.css", `If-None-Match: ${etag}`)).status, 200);
});

Deno.test("static: weak tags, and none", async () => {
  await using weak = new Files({ weak: true });
  assertMatch((await weak.site.ask("GET /app.css")).get("etag")!, /^W\/"/);
  await using none = new Files({ calculate_etag: false });
  assertEquals((await none.site.ask("GET /app.css")).get("etag"), undefined);
});

const RANGES: [range: string, status: number, content: string | undefined, body?: string][] = [
  ["bytes=0-3", 206, "bytes 0-3/19", "body"],
  ["bytes=5-", 206, "bytes 5-18/19", "{ color: red }"],
  ["bytes=-4", 206, "bytes 15-18/19", "ed }"],
  ["bytes=-400", 206, "bytes 0-18/19", "body { color: red }"],
  ["bytes=18-900", 206, "bytes 18-18/19", "}"],
  ["BYTES=0-0", 206, "bytes 0-0/19", "b"],
  ["bytes=19-", 416, "bytes */19", ""],
  ["bytes=-0", 416, "bytes */19", ""],
  ["bytes=5-2", 200, undefined],
  ["bytes=0-1,4-5", 200, undefined],
  ["bytes=-", 200, undefined],
  ["lines=0-1", 200, undefined],
];

for (const [range, status, content, body] of RANGES) {
  Deno.test(`static: Range "${range}"`, async () => {
    await using files = new Files();
    const answer = await files.site.ask("GET /app.css", `Range: ${range}`);
    assertEquals([answer.status, answer.get("content-range")], [status, content]);
    assertEquals(answer.body, body ?? "body { color: red }");
  });
}

Deno.test("static: If-Range decides between the part and the whole; HEAD has no part", async () => {
  await using files = new Files();
  const whole = await files.site.ask("GET /app.css");
  const ask = async (condition: string) =>
    (await files.site.ask("GET /app.css", "Range: bytes=0-3", `If-Range: ${condition}`)).status;
  assertEquals(await ask(whole.get("etag")!), 206);
  assertEquals(await ask(whole.get("last-modified")!), 206);
  assertEquals(await ask('"other"'), 200);
  assertEquals(await ask(`W/${whole.get("etag")}`), 200);
  assertEquals(await ask("Tue, 14 Nov 2000 22:13:20 GMT"), 200);
  assertEquals((await files.site.ask("HEAD /app.css", "Range: bytes=0-3")).status, 200);
});

Deno.test("static: a large file arrives whole, a slow reader holds back the reading", async () => {
  await using files = new Files();
  const size = 20_000_000;
  const bytes = Uint8Array.from({ length: size }, (_, i) => i * 31 >> 3);
  Deno.writeFileSync(files.scratch.path("public/large.bin"), bytes);
  using client = await files.site.connect();
  await client.request("GET /large.bin HTTP/1.1", "Host: x");
  await client.until("\r\n\r\n");
  assert(await positionOf(files.scratch.path("public/large.bin")) < size, "it is not read at once");
  const body = await client.bytes(size);
  for (let i = 0; i < size; i += 997) assertEquals(body.charCodeAt(i), bytes[i]);
});

Deno.test("static: a file that becomes shorter cuts the client; files are closed, whatever happens", async () => {
  await using files = new Files();
  const path = files.scratch.path("public/large.bin");
  Deno.writeFileSync(path, new Uint8Array(20_000_000));
  const handles = () => descriptorsOf(path);
  {
    using client = await files.site.connect();
    await client.request("GET /large.bin HTTP/1.1", "Host: x");
    await client.until("\r\n\r\n");
    await until("it is open", () => handles().length === 1);
    Deno.truncateSync(path, 10);
    assert((await client.rest()).length < 20_000_000);
  }
  await until("it is closed", () => handles().length === 0);
  Deno.writeFileSync(path, new Uint8Array(20_000_000));
  const leaving = await files.site.connect();
  await leaving.request("GET /large.bin HTTP/1.1", "Host: x");
  await leaving.until("\r\n\r\n");
  leaving.close();
  await until("it is closed again", () => handles().length === 0);
});

Deno.test("static: a directory that is a link is looked at anew by every request", async () => {
  const scratch = new Scratch();
  scratch.write("v1/a.txt", "one");
  scratch.write("v2/a.txt", "two");
  const current = scratch.path("current");
  Deno.symlinkSync("v1", current);
  await using files = new Files({ dir: current });
  assertEquals((await files.site.ask("GET /a.txt")).body, "one");
  Deno.symlinkSync("v2", scratch.path("next"));
  Deno.renameSync(scratch.path("next"), current);
  assertEquals((await files.site.ask("GET /a.txt")).body, "two");
  scratch[Symbol.dispose]();
});

Deno.test("static: fields of the request reach the worker", async () => {
  await using files = new Files({ request: { "X-Static": "passed" } }, mirror);
  assertMatch((await files.site.ask("GET /page")).body, /\nX-Static: passed$/);
});

Deno.test("static: a directory that is missing is a failure when the daemon starts", () => {
  for (const dir of ["/nowhere/at/all", "/etc/passwd"]) {
    assertThrows(() => new Files({ dir }), Failure, `cannot serve files of "${dir}"`);
  }
});

/** Descriptors of this process on a file. */
function descriptorsOf(path: string): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => name).filter((name) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(path);
    } catch {
      return false; // The descriptor of the listing itself.
    }
  });
}

/** How far the one descriptor on a file has been read. */
async function positionOf(path: string): Promise<number> {
  const [fd] = await until("it is open", () => {
    const open = descriptorsOf(path);
    return open.length === 1 && open;
  });
  const info = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  return Number(/^pos:\s*(\d+)/m.exec(info)![1]);
}
