/** Real PHP workers behind the plugin: what comes back over the wire is what PHP said. */

import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import type { HttpConfig } from "../../../../lib/config/roadrunner/http.ts";
import type { RawPeer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { Bench } from "../../pool/kit.ts";
import { httpOf, Stage, withHttp } from "./kit.ts";

const WORKER = new URL("../../../fixtures/php/http_worker.php", import.meta.url).pathname;

/** Workers of the fixture, live on an address. */
class Php implements AsyncDisposable {
  readonly bench = new Bench();
  stage!: Stage;

  static async live(http: Partial<HttpConfig> = {}, ...args: string[]): Promise<Php> {
    const php = new Php();
    const config = withHttp(httpOf({
      uploads: { dir: php.bench.dir, forbid: [], allow: [] },
      pool: { ...php.bench.spec().settings, num_workers: 1 },
      ...http,
    }));
    const argv = ["php", WORKER, ...args];
    php.stage = new Stage(config, ({ settings, warmup }, { release_id: release }) => {
      const { worker } = php.bench.spec();
      return php.bench.open({
        ...php.bench.spec(),
        worker: { ...worker, argv },
        settings,
        warmup,
        release,
      });
    });
    await php.stage.intake.start();
    php.stage.intake.swap(await php.stage.build(config));
    return php;
  }

  connect(): Promise<RawPeer> {
    return this.stage.connect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stage[Symbol.asyncDispose]();
    await this.bench[Symbol.asyncDispose]();
  }
}

async function get(client: RawPeer, target: string, ...fields: string[]) {
  await client.request(`GET ${target} HTTP/1.1`, "Host: shop.example:8080", ...fields);
  return await client.message();
}

for (const encoding of ["json", "protobuf"] as const) {
  Deno.test(`${encoding}: PHP reads the context, and its answer comes back`, async () => {
    await using php = await Php.live({ encoding });
    using client = await php.connect();
    const answer = await get(
      client,
      "/echo?x=%C3%BC&y[]=1",
      "X-Two: a",
      "x-two: \xff",
      "Cookie: sid=a%20b",
    );
    assertEquals([answer.status, answer.get("content-type")], [200, "application/json"]);
    const { flags, context } = JSON.parse(answer.body);
    assertEquals(flags, encoding === "json" ? 0x08 : 0x80);
    assertEquals(context.uri, "http://shop.example:8080/echo?x=%C3%BC&y[]=1");
    assertEquals([context.remoteAddr, context.protocol], ["127.0.0.1", "HTTP/1.1"]);
    assertEquals(context.headers["X-Two"], ["a", "�"]);
    assertEquals(Object.values(context.cookies).flat(), ["a b"]);
    const headers = await get(client, "/headers");
    const values = headers.fields.filter(([name]) => name === "Set-Cookie" || name === "X-A");
    assertEquals(values.map(([, value]) => value), ["1", "2", "a=1; Path=/", "b=2; HttpOnly"]);
    assertEquals((await get(client, "/status?code=418")).status, 418);
    assertEquals((await get(client, "/body?bytes=1000000")).body.length, 1_000_000);
  });
}

Deno.test("workers that answer in protobuf to JSON are understood", async () => {
  await using php = await Php.live({}, "proto");
  using client = await php.connect();
  assertEquals((await get(client, "/")).body, "ok");
});

Deno.test("forms and files in PHP's hands", async () => {
  await using php = await Php.live();
  using client = await php.connect();
  const body = [
    "--B",
    'Content-Disposition: form-data; name="k[a]"',
    "",
    "v",
    "--B",
    'Content-Disposition: form-data; name="f"; filename="a.txt"',
    "",
    "hello",
    "--B--",
    "",
  ].join("\r\n");
  const type = "Content-Type: multipart/form-data; boundary=B";
  const kept = php.bench.path("kept");
  const head = `POST /upload?move=${encodeURIComponent(kept)} HTTP/1.1`;
  await client.request(head, "Host: h", type, `Content-Length: ${body.length}`);
  await client.send(body);
  const { fields, files } = JSON.parse((await client.message()).body);
  assertEquals([fields, files[0].text, files[0].mode], [{ k: { a: "v" } }, "hello", "0600"]);
  assertEquals(Deno.readTextFileSync(kept), "hello");
  const form = "Content-Type: application/x-www-form-urlencoded";
  await client.request("POST /echo HTTP/1.1", "Host: h", form, "Content-Length: 0");
  const { body: empty, context } = JSON.parse((await client.message()).body);
  assertEquals([atob(empty), context.parsed], ["{}", true]);
});

Deno.test("hints, trailers, streams with signs of life", async () => {
  await using php = await Php.live();
  using client = await php.connect();
  await client.request("GET /hints HTTP/1.1", "Host: h");
  assertEquals((await client.head()).status, 103);
  assertEquals((await client.message()).body, "hinted");
  const trailers = await get(client, "/trailers");
  assertEquals([trailers.body, trailers.trailers], ["with trailers", [["X-Sum", "42"]]]);
  const stream = await get(client, "/stream?n=20");
  assertEquals(stream.body.split("\n").length, 21);
});

Deno.test("a client that leaves a stream: its worker is told, and serves the next", async () => {
  await using php = await Php.live();
  const gate = php.bench.fifo("gate");
  const told = php.bench.fifo("told");
  const query = `n=1000&gate=${encodeURIComponent(gate.path)}&told=${
    encodeURIComponent(told.path)
  }`;
  using probe = await php.connect();
  const pid = (await get(probe, "/pid")).body;
  const client = await php.connect();
  await client.request(`GET /stream?${query} HTTP/1.1`, "Host: h");
  await client.until("chunk 1\n");
  client.close();
  await until("the answer is given up", () => php.stage.intake.gate.held === 0);
  gate.release(1000);
  assertMatch(await told.line(), /^stopped \d+$/);
  assertEquals((await get(probe, "/pid")).body, pid);
});

Deno.test("errors, exits and prints: one clear answer, the next worker serves", async () => {
  await using php = await Php.live();
  using client = await php.connect();
  const pid = (await get(client, "/pid")).body;
  const soft = await get(client, "/error");
  assertEquals([soft.status, soft.body], [500, ""]);
  assertEquals((await get(client, "/pid")).body, pid);
  for (const path of ["/exit?code=3", "/kill", "/print", "/print?when=in"]) {
    const answer = await get(client, path);
    assertEquals([path, answer.status], [path, 502]);
    assertEquals(answer.body.includes("printed"), false);
    assertEquals((await get(client, "/")).body, "ok");
  }
  assertNotEquals((await get(client, "/pid")).body, pid);
  const failed = php.stage.events("request_failed");
  assertEquals(failed.map(({ target, kind, status }) => [target, kind, status]), [
    ["GET /error", "worker_error", 500],
    ["GET /exit", "died", 502],
    ["GET /kill", "died", 502],
    ["GET /print", "broken", 502],
    ["GET /print", "broken", 502],
  ]);
  assertEquals(failed[0].error, "it <broke>");
  assertStringIncludes(failed[3].error, "Warning: printed");
});

Deno.test("a worker that fails in mid-stream: the connection is cut", async () => {
  await using php = await Php.live();
  for (const end of ["error", "exit", "kill"]) {
    using client = await php.connect();
    await client.request(`GET /stream?n=2&end=${end} HTTP/1.1`, "Host: h");
    const rest = await client.rest();
    assertStringIncludes(rest, "chunk 2\n");
    assertEquals(rest.endsWith("0\r\n\r\n"), false, end);
  }
});

Deno.test("an answer that asks for another worker is asked again there", async () => {
  await using php = await Php.live();
  using client = await php.connect();
  const once = encodeURIComponent(php.bench.path("once"));
  const answer = await get(client, `/stop?once=${once}`);
  assertMatch(answer.body, /^\d+$/);
  assertEquals((await get(client, "/stop")).status, 502);
});

Deno.test("debug mode: each request has a process of its own", async () => {
  const bench = new Bench();
  const pool = { ...bench.spec().settings, num_workers: 1, debug: true };
  await bench[Symbol.asyncDispose]();
  await using php = await Php.live({ pool });
  using client = await php.connect();
  const pids = [(await get(client, "/pid")).body, (await get(client, "/pid")).body];
  assertNotEquals(pids[0], pids[1]);
  assertEquals((await get(client, "/error")).body, "it &lt;broke&gt;");
});
