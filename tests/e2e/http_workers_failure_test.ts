/** Requests that no worker answers, or not as it should: what their clients get, and what is told. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Fifo } from "../kit/gate.ts";
import { until } from "../kit/wait.ts";
import { ask, httpTest, route, sendRequest } from "../kit/http_workers.ts";

const CASES: [what: string, path: string, plain: number, kind: string][] = [
  ["an ERROR frame", "/error?text=it+%3Cbroke%3E", 500, "worker_error"],
  ["the worker ends", "/exit", 502, "died"],
  ["the worker is killed", "/kill", 502, "died"],
  ["the worker prints before its answer", "/print?when=before", 502, "broken"],
  ["the worker prints inside its answer", "/print?when=in", 502, "broken"],
  ["exec_ttl", "/wait", 504, "timeout"],
];

for (const code of [undefined, 418]) {
  httpTest(`failures, internal_error_code ${code ?? "not written"}`, {
    http: code === undefined ? {} : { internal_error_code: code },
    pool: { supervisor: { exec_ttl: "1s" } },
  }, async (site) => {
    await using gate = new Fifo(site.daemon.path("gate"));
    // One connection for all: it survives every failure.
    using client = await site.connect();
    for (const [what, path, plain, kind] of CASES) {
      const target = path === "/wait" ? route(path, { gate: gate.path }) : path;
      const answer = await ask(client, `GET ${target}`);
      assertEquals([what, answer.status], [what, code ?? plain]);
      if (code !== undefined || kind === "worker_error") assertEquals(answer.body, "");
      assertEquals(/broke|printed/.test(answer.body), false);
      const failed = (await site.told("request_failed")).at(-1)!;
      assertEquals([failed.kind, failed.status, failed.target], [
        kind,
        code ?? plain,
        `GET ${path.split("?")[0]}`,
      ]);
      assertEquals((await ask(client, "GET /")).body, "ok", what);
    }
    assertEquals(client.unread, "");
    assertEquals((await site.told("request_failed")).length, CASES.length);
  });

  httpTest(`no free worker, internal_error_code ${code ?? "not written"}`, {
    http: code === undefined ? {} : { internal_error_code: code },
    pool: { allocate_timeout: "2s", max_queue_size: 2 },
  }, async (site) => {
    await using gate = new Fifo(site.daemon.path("gate"));
    await using told = new Fifo(site.daemon.path("told"));
    using first = await site.connect();
    await sendRequest(first, `GET ${route("/wait", { gate: gate.path, told: told.path })}`);
    await told.line();
    using second = await site.connect();
    await sendRequest(second, "GET /");
    await site.poolUntil("one waits", ({ queue }) => queue === 1);
    const full = await site.ask("GET /");
    assertEquals([full.status, full.get("retry-after")], [503, "1"]);
    const waited = await second.message();
    assertEquals([waited.status, waited.get("no-workers")], [code ?? 503, "true"]);
    const { requests } = await site.tells("pool_exhausted");
    assertEquals(requests, 1);
    gate.release();
    assertEquals((await first.message()).body, "waited");
    assertEquals((await site.ask("GET /")).body, "ok");
  });
}

httpTest("debug mode: the text of an error, harmless; a worker for each request", {
  pool: { debug: true },
}, async (site) => {
  const failed = await site.ask("GET /error?text=%3Cb%3E%22x%22");
  assertEquals([failed.status, failed.body], [500, "&lt;b&gt;&#34;x&#34;"]);
  assertEquals(failed.get("content-type"), "text/html; charset=utf-8");
  const pids = [await site.ask("GET /pid"), await site.ask("GET /pid")].map(({ body }) => body);
  assertEquals(new Set(pids).size, 2);
});

httpTest("what a worker prints is shown, where it fails and in the log", {}, async (site) => {
  const text = "PHP Warning: Undefined variable $x in /app/index.php on line 7";
  // What stands inside an answer is cut where the answer would end.
  const shown = { before: "before " + text, in: "PHP Warning:", after: "after " + text };
  for (const [when, part] of Object.entries(shown)) {
    await site.ask(`GET ${route("/print", { when, text: `${when} ${text}` })}`);
    const is = ({ error }: Record<string, unknown>) => String(error).includes(part);
    await site.tells("worker_failed", is);
    await until("it is in the log", () => site.daemon.output().includes(part));
    assertEquals((await site.ask("GET /")).body, "ok");
  }
});

httpTest("killed in mid-request from outside; its request fails, the next has another", {
  pool: { num_workers: 2 },
}, async (site) => {
  await using gate = new Fifo(site.daemon.path("gate"));
  await using told = new Fifo(site.daemon.path("told"));
  using client = await site.connect();
  await sendRequest(client, `GET ${route("/wait", { gate: gate.path, told: told.path })}`);
  const pid = Number(await told.line());
  Deno.kill(pid, "SIGKILL");
  assertEquals((await client.message()).status, 502);
  assertEquals((await ask(client, "GET /")).body, "ok");
  const { error, doing } = await site.tells("worker_failed", (data) => data.pid === pid);
  assertEquals(doing, "GET /wait");
  assertStringIncludes(String(error), "SIGKILL");
  await site.poolUntil("both are there", ({ idle }) => idle === 2);
});
