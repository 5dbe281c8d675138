/** Jobs workers on the kit: each way to answer a job. */

import { assertEquals, assertMatch } from "@std/assert";
import { request, RUNTIMES, Worker } from "./kit.ts";

/** A job as the supervisor sends it. */
function job(name: string, overrides: Record<string, unknown> = {}, payload = '{"a":1}') {
  const context = {
    id: "1",
    job: name,
    driver: "memory",
    headers: { attempts: ["1"] },
    queue: "mail",
    pipeline: "mail",
    ...overrides,
  };
  return request(0x04, JSON.stringify(context), payload);
}

for (const runtime of RUNTIMES) {
  Deno.test(`${runtime}: jobs are answered as their handler says`, async () => {
    await using worker = await Worker.start("jobs", { runtime });
    await worker.hello();
    const cases: [string, unknown][] = [
      ["done", { type: 0, data: [] }],
      ["ack", { type: 2, data: [] }],
      ["nack", { type: 3, data: { message: "not now", requeue: true, delay_seconds: 3 } }],
      ["requeue", {
        type: 4,
        data: {
          message: "later",
          delay_seconds: 5,
          headers: { attempts: ["2"], tags: ["a", "b"] },
        },
      }],
      // The first word counts; the second is an error of the handler.
      ["twice", { type: 2, data: [] }],
    ];
    for (const [name, answer] of cases) {
      const { flags, bits, options, body } = await worker.ask(job(name));
      assertEquals([flags, bits, options, JSON.parse(body)], [0, 0, [0], answer], name);
    }
    assertMatch(worker.stderr, /job 1 was answered, then its handler threw: Error: job 1 was/);
    for (const [name, told] of [["throw", /^Error: it failed\n/], ["fraction", /whole seconds/]]) {
      const { type, data } = JSON.parse((await worker.ask(job(name as string))).body);
      assertMatch(data.message, told as RegExp);
      assertEquals([type, { ...data, message: "" }], [1, {
        message: "",
        requeue: false,
        delay_seconds: 0,
        headers: { attempts: ["1"] },
      }]);
    }
    assertEquals((await worker.ask(job("replace"))).context, '{"stop":true}');
    assertEquals(await worker.stop(), 0);
  });
}

Deno.test("a job is what the supervisor says; what it leaves out is filled in", async () => {
  await using worker = await Worker.start("jobs");
  await worker.hello();
  // As PHP writes an empty map; drivers without queues name none.
  await worker.ask(job("show", { headers: [], queue: undefined }));
  await worker.ask(job("show", { headers: { tries: ["3"] }, queue: "q" }));
  assertEquals(await worker.stop(), 0);
  const common = { id: "1", name: "show", driver: "memory", pipeline: "mail" };
  assertEquals(worker.stderr.trim().split("\n").map((line) => JSON.parse(line)), [
    { ...common, queue: "mail", headers: {}, payload: { a: 1 } },
    { ...common, queue: "q", headers: { tries: ["3"] }, payload: { a: 1 } },
  ]);
});
