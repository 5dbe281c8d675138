/** Requests that no worker answers: what the client hears, and what is told. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import type { HttpConfig } from "../../../../lib/config/roadrunner/http.ts";
import type { PoolErrorKind } from "../../../../lib/pool/types.ts";
import type { RawMessage } from "../../../kit/raw_http.ts";
import { type FakeCall, httpOf, Stage } from "./kit.ts";

const GET = ["GET /orders?secret=1 HTTP/1.1", "Host: h"] as const;

/** The answer to a request that ends so. */
async function answered(
  http: Partial<HttpConfig>,
  end: (call: FakeCall) => unknown,
): Promise<{ answer: RawMessage; stage: Stage }> {
  await using stage = await Stage.live(http);
  using client = await stage.connect();
  await client.request(...GET);
  end(await stage.pool.next());
  return { answer: await client.message(), stage };
}

const STATUS: [PoolErrorKind, number, string | undefined, string | undefined][] = [
  ["worker_error", 500, undefined, undefined],
  ["died", 502, undefined, undefined],
  ["broken", 502, undefined, undefined],
  ["stopping", 502, undefined, undefined],
  ["timeout", 504, undefined, undefined],
  ["no_worker", 503, "1", "true"],
  ["queue_full", 503, "1", undefined],
  ["destroyed", 503, "1", undefined],
];

for (const [kind, status, retry, none] of STATUS) {
  Deno.test(`${kind}: ${status}`, async () => {
    const { answer, stage } = await answered({}, (call) => call.fail(kind, "inside <b>"));
    assertEquals(
      [answer.status, answer.get("retry-after"), answer.get("no-workers")],
      [status, retry, none],
    );
    assertEquals(answer.body.includes("inside"), false);
    // Those the pool turned away are too many for an event each: the pool tells of them.
    if (kind === "no_worker" || kind === "queue_full") {
      return assertEquals(stage.events("request_failed"), []);
    }
    assertEquals(stage.events("request_failed"), [{
      plugin: "http",
      release: "v1",
      target: "GET /orders",
      error: "inside <b>",
      kind,
      status,
      pid: 4711,
    }]);
  });
}

Deno.test("internal_error_code, where it is written, is what clients get, without a body", async () => {
  const kinds = ["worker_error", "died", "broken", "stopping", "timeout", "no_worker"] as const;
  for (const kind of kinds) {
    const http = { internal_error_code: 418 };
    const { answer, stage } = await answered(http, (call) => call.fail(kind));
    assertEquals([kind, answer.status, answer.body], [kind, 418, ""]);
    assertEquals(answer.get("no-workers"), kind === "no_worker" ? "true" : undefined);
    const told = stage.events("request_failed").map(({ status }) => status);
    assertEquals(told, kind === "no_worker" ? [] : [418]);
  }
  for (const kind of ["queue_full", "destroyed"] as const) {
    const { answer } = await answered({ internal_error_code: 418 }, (call) => call.fail(kind));
    assertEquals([kind, answer.status], [kind, 503]);
  }
});

Deno.test("debug mode shows the text of an error, harmless to browsers", async () => {
  const pool = { ...httpOf().pool, debug: true };
  const { answer } = await answered({ pool }, (call) => call.fail("worker_error", `<i>"a" & 'b'`));
  assertEquals([answer.status, answer.body], [500, "&lt;i&gt;&#34;a&#34; &amp; &#39;b&#39;"]);
});

const BAD: [what: string, context: string | Uint8Array, reason: string, flags?: number][] = [
  ["no JSON", "nonsense", "no JSON"],
  ["nothing", "", "no JSON"],
  ["no object", "7", "no JSON object"],
  ["null", "null", "no JSON object"],
  ["no UTF-8", new Uint8Array([0x7b, 0xff, 0x7d]), "no JSON"],
  ["no status", "{}", "unknown status code from worker: undefined"],
  ["status 99", `{"status":99}`, "unknown status code from worker: 99"],
  ["status 600", `{"status":600}`, "unknown status code from worker: 600"],
  ["status 200.5", `{"status":200.5}`, "unknown status code from worker: 200.5"],
  ["a line end in a value", `{"status":200,"headers":{"X":["a\\r\\nSet-Cookie: x"]}}`, "line end"],
  ["a line feed in a value", `{"status":200,"headers":{"X":["a\\nb"]}}`, "bare LF"],
  ["a line end in a name", `{"status":200,"headers":{"X: a\\r\\nY":["b"]}}`, "line end"],
  ["an end of head in a value", `{"status":200,"headers":{"X":["\\r\\n\\r\\n<b>"]}}`, "line end"],
  ["a control byte", `{"status":200,"headers":{"X":["a\\u0000"]}}`, "control byte"],
  ["a space in a name", `{"status":200,"headers":{"X Y":["a"]}}`, "not a field line"],
  ["no name", `{"status":200,"headers":{"":["a"]}}`, "not a field line"],
  ["an object as value", `{"status":200,"headers":{"X":{}}}`, `field "X"`],
  ["text as fields", `{"status":200,"headers":"X: a"}`, "no JSON object"],
  ["a list as fields", `{"status":200,"headers":["X: a"]}`, "no JSON object"],
  [
    "a line end in a trailer",
    `{"status":200,"headers":{"Trailer":"X","X":"a\\r\\nb: c"}}`,
    "trailer",
  ],
  ["flags of nothing", `{"status":200}`, "flags 4", 0x04],
  ["no protobuf", "\xff\xff\xff", "no protobuf", 0x80],
];

for (const [what, context, reason, flags] of BAD) {
  Deno.test(`a bad head (${what}): 502, and the reason is told`, async () => {
    const { answer, stage } = await answered(
      {},
      (call) => call.raw(context, "secret", false, flags),
    );
    assertEquals([answer.status, answer.body.includes("secret")], [502, false]);
    assertEquals(answer.get("set-cookie"), undefined);
    const [{ kind, error, pid }] = stage.events("request_failed");
    assertEquals([kind, pid], ["broken", 4711]);
    assertStringIncludes(error, reason);
  });
}

Deno.test("a bad head of a stream stops the stream", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET);
  const call = (await stage.pool.next()).raw("nonsense", "", true);
  assertEquals((await client.message()).status, 502);
  await call.stopped;
});

Deno.test("a worker that fails in mid-stream: the client's connection is cut, the reason told", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request(...GET);
  const call = await stage.pool.next();
  call.reply(200, {}, "begun", true);
  await client.until("begun\r\n");
  call.fail("died", "killed by SIGKILL");
  assertEquals(await client.rest(), "");
  const [failed] = stage.events("request_failed");
  assertEquals([failed.status, failed.kind, failed.error], [
    null,
    "died",
    "inside its answer: killed by SIGKILL",
  ]);
  assertEquals(stage.events("internal_error"), []);
});

Deno.test("a host that workers choke on never reaches one", async () => {
  await using stage = await Stage.live();
  using client = await stage.connect();
  await client.request("GET / HTTP/1.1", "Host: h:70000");
  assertEquals((await client.message()).status, 400);
  assertEquals(stage.pool.calls.length, 0);
});
