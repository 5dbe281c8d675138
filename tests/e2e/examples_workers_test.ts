/**
 * The examples with workers: a configuration of RoadRunner exactly as it stands there, with PHP; and
 * TypeScript workers on the kit.
 *
 * They run in a copy; addresses and places are laid over the configuration with `-o`, as an operator
 * would.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { copyTree } from "../kit/copy_tree.ts";
import { type Daemon, startDaemon } from "../kit/daemon.ts";
import { startLoad } from "../kit/load.ts";
import { freePort } from "../kit/ports.ts";
import { until } from "../kit/wait.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const PHP = "examples/php-workers";
const TYPESCRIPT = "examples/typescript-workers";

/** A daemon that runs a copy of an example. @param values laid over its configuration */
async function serveExample(
  example: string,
  file: string,
  values: Record<string, string>,
): Promise<Daemon> {
  const d = await startDaemon({
    start: false,
    config: { processes: { none: { command: "true" } } },
    // The command of the example is the runtime of these tests.
    env: { PATH: `${join(Deno.execPath(), "..")}:${Deno.env.get("PATH")}` },
  });
  try {
    for (const part of [example, "worker"]) copyTree(join(ROOT, part), d.path(part));
    const places = { state_dir: d.path("state"), "control.socket": d.socket };
    const over = Object.entries({ ...places, ...values })
      .flatMap(([key, value]) => ["-o", `${key}=${value}`]);
    await d.start("-c", `${example}/${file}`, ...over);
    return d;
  } catch (error) {
    await d[Symbol.asyncDispose]();
    throw error;
  }
}

/** Answer of a worker: text and head. */
async function get(port: number, path: string, init?: RequestInit) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  const { status, headers } = response;
  return { status, headers, text: await response.text() };
}

Deno.test("RoadRunner's configuration of the PHP example runs as it is", async (t) => {
  const [port, rpc, status, metrics] = [freePort(), freePort(), freePort(), freePort()];
  await using d = await serveExample(PHP, ".rr.yaml", {
    "http.address": `127.0.0.1:${port}`,
    "rpc.listen": `tcp://127.0.0.1:${rpc}`,
    "status.address": `127.0.0.1:${status}`,
    "metrics.address": `127.0.0.1:${metrics}`,
  });

  await t.step("requests, headers, files", async () => {
    const hello = await get(port, "/?name=you");
    assertMatch(hello.text, /^Hello, you! Greeting 1 of worker \d+\.\n$/);
    assertEquals(hello.headers.get("x-powered-by"), "PHP workers");
    assertEquals((await get(port, "/nowhere")).status, 404);
    const robots = Deno.readTextFileSync(join(ROOT, PHP, "public", "robots.txt"));
    assertEquals((await get(port, "/robots.txt")).text, robots);
  });

  await t.step("forms and uploads", async () => {
    const body = new FormData();
    body.append("list[]", "1");
    body.append("list[]", "2");
    body.append("file", new File(["content"], "a.txt", { type: "text/plain" }));
    body.append("file2", new File(["<?php"], "a.php"));
    const { form, files } = JSON.parse((await get(port, "/form", { method: "POST", body })).text);
    assertEquals(form, { list: ["1", "2"] });
    const { tmpName, ...rest } = files.file;
    assertEquals(rest, { name: "a.txt", mime: "text/plain", size: 7, error: 0 });
    assertEquals([files.file2.error, files.file2.tmpName], [8, ""]);
    await until("the upload to be removed", () => {
      try {
        return Deno.statSync(tmpName) === undefined;
      } catch (error) {
        return error instanceof Deno.errors.NotFound;
      }
    });
  });

  await t.step("a stream, an error", async () => {
    assertEquals((await get(port, "/numbers")).text, "1\n2\n3\n4\n5\n");
    const failed = await get(port, "/error");
    assertEquals([failed.status, failed.text], [500, ""]);
    await d.event("request_failed", ({ data }) => /this went wrong/.test(String(data.error)));
  });

  await t.step("status, metrics, what workers print", async () => {
    assertEquals((await get(status, "/health?plugin=http")).status, 200);
    const { text } = await get(metrics, "/metrics");
    assertMatch(text, /^greetings 1$/m);
    assertMatch(text, /^rr_http_total_workers 2$/m);
    const logs = await until("the line in the log", async () => {
      const { stdout } = await d.ok("logs", "--socket", d.socket);
      return stdout.includes("greets you") ? stdout : undefined;
    });
    assertMatch(logs, /clock +out +\d\d:\d\d:\d\d/);
  });

  await t.step("reset under load loses nothing", async () => {
    const workers = async () =>
      (await d.ok("workers", "--socket", d.socket, "--json")).json().workers
        .map(({ pid }: { pid: number }) => pid);
    const before = await workers();
    assertEquals(before.length, 2);
    const load = startLoad({ port, connections: 4 });
    await d.ok("reset", "--socket", d.socket, "http");
    const report = await load.stop();
    assertEquals(report.failed, 0, report.text);
    assert(report.ok > 0);
    const after = await workers();
    assertEquals(after.filter((pid: number) => before.includes(pid)), []);
  });
});

Deno.test("the TypeScript example is served, and deployed under load", async () => {
  const port = freePort();
  await using d = await serveExample(TYPESCRIPT, "supervisor.yaml", {
    "http.address": `127.0.0.1:${port}`,
  });
  assertEquals((await get(port, "/?name=you")).text, "Hello, you! Greeting 1.\n");
  const body = new FormData();
  body.append("file", new File(["content"], "a.txt"));
  assertEquals(
    JSON.parse((await get(port, "/form", { method: "POST", body })).text),
    { file: { file: "a.txt", bytes: 7 } },
  );

  // A client that leaves frees its worker: both would be busy for ever otherwise.
  for (let i = 0; i < 3; i++) {
    const leaving = new AbortController();
    const events = await fetch(`http://127.0.0.1:${port}/events`, { signal: leaving.signal });
    const first = await events.body!.pipeThrough(new TextDecoderStream()).getReader().read();
    assertStringIncludes(first.value ?? "", "data: tick");
    leaving.abort();
  }
  assertEquals((await get(port, "/ping")).text, "pong\n");

  const next = d.path("examples/next");
  copyTree(d.path(TYPESCRIPT), next);
  const worker = Deno.readTextFileSync(join(next, "worker.ts"));
  assertStringIncludes(worker, "Hello, ");
  Deno.writeTextFileSync(join(next, "worker.ts"), worker.replace("Hello, ", "Welcome, "));
  const load = startLoad({ port, connections: 4 });
  await d.ok("deploy", "--socket", d.socket, "--release-path", next, "--release-id", "v2");
  const report = await load.stop();
  assertEquals(report.failed, 0, report.text);
  assertMatch((await get(port, "/")).text, /^Welcome, world! /);
});
