/** The workers of the examples answer, driven by hand: tests/e2e runs them under the daemon. */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { get, Worker } from "./kit.ts";

const EXAMPLES = fromFileUrl(new URL("../../../examples/", import.meta.url));
const PHP = `${EXAMPLES}php-workers/worker.php`;
const TYPESCRIPT = `${EXAMPLES}typescript-workers/worker.ts`;
const STREAM = 0x01;

Deno.test("the PHP example: forms, a stream, an error, what it prints", async () => {
  await using worker = await Worker.run(["php", PHP], "http", {
    env: { RR_RPC: "unix:///nowhere" },
  });
  await worker.hello();
  const form = { method: "POST", parsed: true };
  assertEquals(
    (await worker.ask(get("/form", form, '{"a":["1"]}'))).body,
    '{"form":{"a":["1"]},"files":null}',
  );
  await worker.send(get("/numbers"));
  const bodies: string[] = [];
  for (let more = true; more;) {
    const frame = await worker.frame();
    bodies.push(frame.body);
    more = (frame.bits & STREAM) !== 0;
  }
  assertEquals(bodies, ["1\n", "2\n", "3\n", "4\n", "5\n", ""]);
  const failed = await worker.ask(get("/error"));
  assertEquals(failed.flags, 0x40);
  assertMatch(failed.body, /^LogicException: this went wrong/);
  // Nobody listens at RR_RPC; what it printed before it called is no frame.
  assertMatch((await worker.ask(get("/"))).body, /cannot reach RR_RPC at unix:\/\/\/nowhere: /);
  await worker.printed(/^greets world$/m);
  assertEquals(await worker.stop(), 0);
});

Deno.test("the TypeScript example: greets, takes forms, stops a stream", async () => {
  const permissions = ["--allow-env", "--allow-read"];
  const argv = [Deno.execPath(), "run", "--quiet", "--no-lock", ...permissions, TYPESCRIPT];
  await using worker = await Worker.run(argv, "http");
  await worker.hello();
  const { body } = await worker.ask(get("/?name=you"));
  assertEquals(body, "Hello, you! Greeting 1.\n");
  await worker.printed(/^greets you$/m);
  const form = {
    method: "POST",
    parsed: true,
    headers: { "Content-Type": ["multipart/form-data; boundary=x"] },
  };
  assertEquals((await worker.ask(get("/form", form, '{"a":"1"}'))).body, '{"a":"1"}');
  assertEquals(JSON.parse((await worker.ask(get("/nowhere"))).context).status, 404);
  assertEquals((await worker.ask(get("/events"))).body, "id: 1\ndata: tick\n\n");
});
