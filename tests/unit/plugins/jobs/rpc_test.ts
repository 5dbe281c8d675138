/** The service `jobs` over a real socket: the bytes of PHP's library, and what is refused. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { jobsTable } from "../../../../plugins/jobs/rpc.ts";
import { Client, ERROR, hex, JSON_CODEC, PROTO, serve } from "../../goridge/rpc_kit.ts";
import { DONE, jobsOf, say, Stage } from "./kit.ts";

const ID = "0b0ff1d8-7a4d-4b1c-9a57-0f5f2f4c1d2e";

/** `jobs.Push` of PHP's library: App\Mail with {"a":1} to test, delay 10, priority 3, auto-ack. */
const PUSH = hex(`0a54 0a08 4170705c4d61696c 1224 ${hexOf(ID)} 1a07 7b2261223a317d
  220b 0a0168 1206 0a0131 0a0132 2a0c 0803 120474657374 180a 3001`);

function hexOf(text: string): string {
  return new TextEncoder().encode(text).toHex();
}

/** Calls of a client, one after the other. */
async function calling(stage: Stage) {
  const server = await serve(jobsTable(stage.intake));
  const client = await Client.to(server.address);
  const call = async (method: string, argument: Uint8Array | string, flags: number) => {
    const { bytes, text, flags: back } = await client.call(method, argument, flags);
    return { text, hex: bytes.toHex(), failed: (back & ERROR) !== 0 };
  };
  return {
    proto: (method: string, argument: Uint8Array = hex("")) => call(method, argument, PROTO),
    async json(method: string, argument: unknown) {
      const { text, failed } = await call(method, JSON.stringify(argument), JSON_CODEC);
      return failed ? text : JSON.parse(text);
    },
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

Deno.test("a push of PHP's library is stored as it says", async () => {
  await using stage = await Stage.live({ test: {} });
  await using rpc = await calling(stage);
  assertEquals(await rpc.proto("jobs.Push", PUSH), { text: "", hex: "", failed: false });
  assertEquals(stage.intake.engine.pipelines()[0].counts.delivered, 0);
  await stage.clock.advance(9_999);
  assertEquals(stage.intake.engine.pipelines()[0].counts.delivered, 0);
  await stage.clock.advance(1);
  const call = await stage.next();
  assertEquals([call.context.id, call.context.job], [ID, "App\\Mail"]);
  assertEquals(call.context.headers, { h: ["1", "2"] });
  assertEquals(call.body, '{"a":1}');
  say(call, DONE);
});

Deno.test("what clients look for in errors of a push", async () => {
  await using stage = await Stage.live({ test: {} });
  await using rpc = await calling(stage);
  const push = (job: unknown) => rpc.json("jobs.Push", { job });
  assertStringIncludes(
    await push({ job: "a", id: "1", options: { pipeline: "nope" } }),
    "no such pipeline, requested: nope",
  );
  assertEquals(
    await push({ job: "a", options: { pipeline: "test" } }),
    "empty ID field not allowed",
  );
  assertEquals(
    await push({ job: "a", id: "1", payload: "%", options: { pipeline: "test" } }),
    '"payload" must be a string in base64',
  );
  assertEquals(await rpc.json("jobs.Push", {}), "the argument has no job");
});

Deno.test("a batch ends at the first pipeline that is not there, what stands before is stored", async () => {
  await using stage = new Stage(jobsOf({ a: {}, b: {} }));
  await stage.intake.start();
  await using rpc = await calling(stage);
  const job = (pipeline: string) => ({ job: "x", payload: btoa("p"), options: { pipeline } });
  const jobs = ["a", "a", "b", "nope", "a"].map(job);
  assertStringIncludes(await rpc.json("jobs.PushBatch", { jobs }), "requested: nope");
  const stored = stage.intake.engine.pipelines().map(({ name, counts }) => [name, counts.pushed]);
  assertEquals(stored, [["a", 2], ["b", 1]]);
});

Deno.test("pipelines are declared, resumed, paused, listed and destroyed", async () => {
  await using stage = await Stage.live({ test: {} });
  await using rpc = await calling(stage);
  assertEquals((await rpc.proto("jobs.List")).hex, "0a0474657374");
  const declare = hex(`0a0b 0a046e616d65 12036d656d 0a10 0a06647269766572 12066d656d6f7279
    0a0d 0a087072696f72697479 120135 0a0e 0a087072656665746368 12023230`);
  assertEquals((await rpc.proto("jobs.Declare", declare)).failed, false);
  const again = await rpc.proto("jobs.Declare", declare);
  assertStringIncludes(again.text, "pipeline already exists, name: mem, driver: memory");
  const without = await rpc.json("jobs.Declare", { pipeline: { name: "x" } });
  assertStringIncludes(without, "no associated driver with the pipeline");
  const ready = async () =>
    (await rpc.json("jobs.Stat", {})).stats.map((
      { pipeline, ready }: { pipeline: string; ready: boolean },
    ) => [pipeline, ready]);
  assertEquals(await ready(), [["test", true], ["mem", false]]);
  assertEquals(await rpc.json("jobs.Resume", { pipelines: ["mem"] }), {});
  assertStringIncludes(await rpc.json("jobs.Resume", { pipelines: ["mem"] }), "already in the");
  assertEquals(await rpc.json("jobs.Pause", { pipelines: ["test"] }), {});
  assertStringIncludes(await rpc.json("jobs.Pause", { pipelines: ["test"] }), "nothing to pause");
  assertEquals(await ready(), [["test", false], ["mem", true]]);
  assertEquals(await rpc.json("jobs.Destroy", { pipelines: ["mem"] }), { pipelines: ["mem"] });
  assertStringIncludes(await rpc.json("jobs.Destroy", { pipelines: ["mem"] }), "requested: mem");
  assertEquals(await rpc.json("jobs.List", {}), { pipelines: ["test"] });
});

Deno.test("numbers: what waits is active, what a worker has is reserved", async () => {
  await using stage = new Stage(jobsOf({ test: {} }));
  await stage.intake.start();
  await using rpc = await calling(stage);
  const job = (id: string) => ({ job: "x", id, options: { pipeline: "test" } });
  for (const id of ["1", "2"]) await rpc.json("jobs.Push", { job: job(id) });
  await rpc.json("jobs.Pause", { pipelines: ["test"] });
  assertEquals(
    (await rpc.proto("jobs.Stat")).hex,
    "0a18" + "0a0474657374" + "12066d656d6f7279" + "1a0474657374" + "2002" + "400a",
  );
  assertEquals(await rpc.json("informer.Jobs", "jobs"), [{
    pipeline: "test",
    priority: 10,
    ready: false,
    queue: "test",
    active: 2,
    delayed: 0,
    reserved: 0,
    driver: "memory",
    error_message: "",
  }]);
  assertEquals(await rpc.json("informer.Jobs", "http"), []);
});

Deno.test("a job at a worker is reserved", async () => {
  await using stage = await Stage.live({ test: {} });
  await using rpc = await calling(stage);
  await rpc.json("jobs.Push", { job: { job: "x", id: "1", options: { pipeline: "test" } } });
  const call = await stage.next();
  const [{ active, reserved }] = await rpc.json("informer.Jobs", "jobs");
  assertEquals([active, reserved], [0, 1]);
  say(call, DONE);
});
