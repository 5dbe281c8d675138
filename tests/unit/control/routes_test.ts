/** Every route over a real socket: what it hands on, what it answers, what it refuses. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Exit, Failure } from "../../../lib/core/failure.ts";
import { ROUTES } from "../../../lib/control/routes.ts";
import { DEPLOYED, event, Server, STATUS, step } from "./kit.ts";

function lines(text: string): unknown[] {
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

function post(body: unknown): RequestInit {
  return { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) };
}

Deno.test("GET routes answer one JSON document on one line", async () => {
  await using server = await Server.open();
  const status = await server.fetch("/v1/status");
  assertEquals(status, { status: 200, text: `${JSON.stringify(STATUS)}\n` });
  const health = await server.fetch("/v1/health");
  assertEquals(JSON.parse(health.text), {
    status: "ok",
    live: false,
    active_release_id: null,
    application: "app",
    config: "/srv/supervisor.yaml",
  });
});

Deno.test("a deploy streams its progress and exactly one result", async () => {
  await using server = await Server.open();
  const request = { release_path: "/srv/shop/v2", release_id: "v2", revision: "abc", wait: true };
  const { status, text } = await server.fetch("/v1/deploy", post(request));
  assertEquals(status, 200);
  assertEquals(lines(text), [step("one"), step("two"), { type: "result", result: DEPLOYED }]);
  assertEquals(server.operations.asked, [["deploy", request]]);
});

Deno.test("a failed deploy is a result too, with the failure's exit code and details", async () => {
  await using server = await Server.open();
  server.operations.deploy = (_, tell) => {
    tell(step("one"));
    throw new Failure("web ended", { fix: "look", detail: { exit: 3 } });
  };
  const { status, text } = await server.fetch("/v1/deploy", post({ release_path: "/a" }));
  assertEquals(status, 200);
  const failure = {
    status: "error",
    error: "web ended",
    fix: "look",
    exit: 1,
    detail: { exit: 3 },
  };
  assertEquals(lines(text), [step("one"), { type: "result", result: failure }]);
  assertEquals(server.events.filter((told) => told.event === "internal_error"), []);
});

Deno.test("POST routes hand their fields on", async () => {
  await using server = await Server.open();
  await server.fetch("/v1/rollback", post({ release_id: "v1" }));
  await server.fetch("/v1/restart", post({ process: "web#0" }));
  await server.fetch("/v1/restart", post({ policy: "companion" }));
  await server.fetch("/v1/scale", post({ name: "web", count: 3 }));
  await server.fetch("/v1/stop", post({ now: true }));
  await server.fetch("/v1/stop", { method: "POST" });
  assertEquals(server.operations.asked, [
    ["rollback", { release_id: "v1" }],
    ["restart", { process: "web#0" }],
    ["restart", { policy: "companion" }],
    ["scale", { name: "web", count: 3 }],
    ["stop", { now: true }],
    ["stop", {}],
  ]);
  const plan = JSON.parse((await server.fetch("/v1/plan", post({}))).text);
  assertEquals(plan.changes, [{ field: "processes.web.command", effect: "generation" }]);
  const reload = JSON.parse((await server.fetch("/v1/reload", post({}))).text);
  assertEquals(reload.status, "success");
});

Deno.test("events and logs come one record a line, with the query handed on", async () => {
  await using server = await Server.open();
  const events = await server.fetch("/v1/events?limit=1");
  assertEquals(lines(events.text), [event(2)]);
  const logs = await server.fetch("/v1/logs?process=web&lines=5&since=17&follow=0");
  assertEquals(lines(logs.text).length, 1);
  assertEquals(server.operations.asked, [
    ["events", { limit: 1 }],
    ["logs", { process: "web", lines: 5, since: 17, follow: false }],
  ]);
});

Deno.test("a source of records that fails ends the stream with the failure", async () => {
  await using server = await Server.open();
  // deno-lint-ignore require-yield
  server.operations.logs = async function* () {
    await Promise.resolve();
    throw new Failure('no process "wep"', { fix: 'did you mean "web"?', exit: Exit.usage });
  };
  const { text } = await server.fetch("/v1/logs?process=wep");
  const [last] = lines(text);
  const error = 'no process "wep"';
  assertEquals(last, { status: "error", error, fix: 'did you mean "web"?', exit: 2 });
});

const REFUSED: [what: string, path: string, init: RequestInit, status: number, words: string[]][] =
  [
    ["an unknown route", "/v1/statsu", {}, 404, ["/v1/statsu", "did you mean /v1/status?"]],
    ["no version", "/", {}, 404, ['there is no "/"']],
    ["a wrong method", "/v1/deploy", {}, 405, ["/v1/deploy does not take GET", "use POST"]],
    ["an odd method", "/v1/status", { method: "DELETE" }, 405, ["use GET"]],
    ["broken JSON", "/v1/stop", post("{now"), 400, ["the body is not JSON"]],
    ["an array", "/v1/stop", post([1]), 400, ["must be a JSON object, not [1]"]],
    ["null", "/v1/stop", post("null"), 400, ["must be a JSON object, not null"]],
    ["an unknown field", "/v1/deploy", post({ relase_path: "/a" }), 400, [
      'unknown field "relase_path"',
      'did you mean "release_path"?',
    ]],
    ["a field where none is", "/v1/reload", post({ now: true }), 400, ["takes no fields"]],
    ["an inherited name", "/v1/stop", post('{"__proto__":{}}'), 400, ["__proto__"]],
    ["a missing field", "/v1/deploy", post({}), 400, ['"release_path" is missing']],
    ["a relative path", "/v1/deploy", post({ release_path: "v1" }), 400, [
      'must be an absolute path, not "v1"',
    ]],
    ["a wrong type", "/v1/stop", post({ now: "yes" }), 400, ["must be true or false"]],
    ["an empty text", "/v1/stop", post({ release_id: "" }), 400, ["not empty"]],
    ["a negative count", "/v1/scale", post({ name: "w", count: -1 }), 400, ["from 0 to 1000"]],
    ["half a copy", "/v1/scale", post({ name: "w", count: 1.5 }), 400, ["whole number"]],
    ["another policy", "/v1/restart", post({ policy: "all" }), 400, ["one of proxied, companion"]],
    ["an unknown parameter", "/v1/events?folow=1", {}, 400, ['did you mean "follow"?']],
    ["a word for a flag", "/v1/events?follow=maybe", {}, 400, ["true or false"]],
    ["a parameter twice", "/v1/logs?lines=1&lines=2", {}, 400, ["given twice"]],
    ["a word for a count", "/v1/logs?lines=all", {}, 400, ["whole number"]],
  ];

for (const [what, path, init, status, words] of REFUSED) {
  Deno.test(`refused: ${what}`, async () => {
    await using server = await Server.open();
    const answer = await server.fetch(path, init);
    assertEquals(answer.status, status);
    const failure = JSON.parse(answer.text);
    assertEquals(failure.status, "error");
    assertEquals(failure.exit, 2);
    const said = `${failure.error} ${failure.fix}`;
    for (const word of words) assertStringIncludes(said, word);
    assertEquals(server.operations.asked, []);
  });
}

Deno.test("HEAD does not open a follower", async () => {
  await using server = await Server.open();
  const answer = await server.raw(
    "HEAD /v1/events?follow=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
  );
  assertStringIncludes(answer, "405");
  assertEquals(server.operations.asked, []);
});

Deno.test("HTTP/1.0 without Host is answered", async () => {
  await using server = await Server.open();
  assertStringIncludes(await server.raw("GET /v1/health HTTP/1.0\r\n\r\n"), '"status":"ok"');
});

const STATUS_OF: [exit: Failure["exit"], status: number][] = [
  [Exit.failed, 500],
  [Exit.usage, 400],
  [Exit.config, 422],
  [Exit.running, 409],
];

for (const [exit, status] of STATUS_OF) {
  Deno.test(`a failure with exit ${exit} is answered with ${status}`, async () => {
    await using server = await Server.open();
    server.operations.restart = () => Promise.reject(new Failure("no", { exit }));
    const answer = await server.fetch("/v1/restart", post({}));
    assertEquals(answer.status, status);
    assertEquals(JSON.parse(answer.text), { status: "error", error: "no", exit });
    assertEquals(server.events.at(-1), {
      event: "control_error",
      data: { error: "no", route: "POST /v1/restart" },
    });
  });
}

Deno.test("a bug is a 500 without a stack, and an event with one", async () => {
  await using server = await Server.open();
  server.operations.status = () => {
    throw new TypeError("x is not a function");
  };
  const answer = await server.fetch("/v1/status");
  assertEquals(answer.status, 500);
  const error = "internal error: x is not a function";
  assertEquals(JSON.parse(answer.text), { status: "error", error, exit: 1 });
  const told = server.events.at(-1)!;
  assertEquals(told.event, "internal_error");
  assertEquals(told.data.where, "GET /v1/status");
  assertStringIncludes(told.data.stack as string, "routes_test.ts");
});

Deno.test("a bug inside a deploy is told as well", async () => {
  await using server = await Server.open();
  server.operations.deploy = () => Promise.reject(new RangeError("off by one"));
  const { text } = await server.fetch("/v1/deploy", post({ release_path: "/a" }));
  const error = "internal error: off by one";
  assertEquals(lines(text), [{ type: "result", result: { status: "error", error, exit: 1 } }]);
  assertEquals(server.events.at(-1)?.event, "internal_error");
});

Deno.test("no answer is compressed or cached", async () => {
  await using server = await Server.open();
  const head = "host: x\r\naccept-encoding: gzip, br\r\nconnection: close\r\n\r\n";
  for (const route of ROUTES.filter((route) => route.method === "GET")) {
    const answer = await server.raw(`GET ${route.path} HTTP/1.1\r\n${head}`);
    assertStringIncludes(answer, "cache-control: no-store, no-transform");
    assertEquals(/content-encoding/i.test(answer), false);
  }
});
