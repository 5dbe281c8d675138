/** The driver beanstalk on bad days: beanstalkd is absent, ends, freezes, forgets; a daemon vanishes. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { beanstalk } from "../../plugins/jobs/beanstalk/recipe.ts";
import { hostOf } from "../kit/brokers/bench.ts";
import { beanstalkd } from "../kit/brokers/beanstalk.ts";
import { BeanstalkBench } from "../kit/brokers/beanstalk_bench.ts";
import {
  confirmedStays,
  down,
  drain,
  ids,
  jobs,
  NONE,
  ready,
  staysOurs,
} from "../kit/brokers/scenes.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { freePort } from "../kit/ports.ts";
import { soon, until } from "../kit/wait.ts";
import {
  again,
  jobOf,
  settingsOf,
  takeAll,
  takeOne,
} from "../unit/plugins/jobs/conformance/kit.ts";

Deno.test("beanstalk: absent at start; a push waits for it, and everything works when it comes", async () => {
  const server = new BrokerServer(beanstalkd());
  await using _ = server;
  await using bench = new BeanstalkBench(server.port);
  const driver = await bench.begin();
  assert((await down(driver)).next_try_at !== undefined);
  const impatient = new AbortController();
  const given = driver.push(jobs(["never"]), impatient.signal);
  impatient.abort(new Error("too long"));
  const whom = `beanstalkd at ${server.address} is not connected: `;
  await assertRejects(() => given, Error, whom);
  await assertRejects(() => driver.stat(), Error, whom);
  const pushed = driver.push(jobs(["a"]));
  const taking = takeOne(driver);
  await server.start();
  await soon("the push", pushed);
  assertEquals((await soon("the job", taking)).id, "a");
  assertEquals(driver.state, { state: "ready" });
  assertEquals(bench.of("pipeline_volatile"), []);
});

Deno.test("beanstalk: killed and started again: nothing is lost, nothing that was taken comes again", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  const driver = await bench.open();
  await driver.push(jobs(ids(100)));
  const held = await takeAll(driver, 50);
  await server.kill();
  await until("it is noticed", () => driver.state.state === "connecting");
  const ended = held.slice(0, 40);
  const settled = Promise.all(ended.map((one, at) => {
    if (at < 10) return driver.settle(one, { kind: "ack" });
    if (at < 20) return driver.settle(one, again());
    if (at < 30) return driver.settle(one, { kind: "back" });
    return driver.settle(one, { kind: "dead", error: "bad day" });
  }));
  const late = driver.push(jobs(["late"]));
  await server.start();
  await soon("what was settled", settled);
  await soon("what was pushed", late);
  // Ten are at workers all the time, and nobody else gets them.
  assertEquals(await driver.stat(), { waiting: 71, delayed: 0, reserved: 10, dead: 10 });
  const rest = await drain(driver, 71);
  assertEquals(new Set(rest), new Set([...ids(100).slice(10, 30), ...ids(100).slice(50), "late"]));
  await Promise.all(held.slice(40).map((one) => driver.settle(one, { kind: "ack" })));
  assertEquals(await driver.stat(), { ...NONE, dead: 10 });
  assertEquals(bench.of("job_unsettled"), []);
});

Deno.test("beanstalk: ended in the middle of a stream of pushes: what was confirmed is there", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  const driver = await bench.open();
  await confirmedStays(server, driver, 3000);
});

Deno.test("beanstalk: frozen: noticed, and what waits ends; thawed: it goes on", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  const driver = await bench.open();
  await driver.push(jobs(["a"]));
  const one = await takeOne(driver);
  server.freeze();
  const settled = driver.settle(one, { kind: "ack" });
  const error = await assertRejects(() => driver.push(jobs(["b"])), Error, "is not known");
  assert(error.message.includes("did not answer within 8 s"), error.message);
  assertEquals(driver.state.state, "connecting");
  server.thaw();
  await soon("the settlement", settled);
  await ready(driver);
  // Whether it was stored nobody could say: it may be there.
  const { waiting, reserved } = await driver.stat();
  assertEquals([waiting <= 1, reserved], [true, 0]);
});

Deno.test("beanstalk: one that forgot everything: said, and the jobs of others are left alone", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  const driver = await bench.open();
  await driver.push(jobs(["a", "b"]));
  const [a, b] = await takeAll(driver, 2);
  await server.kill();
  Deno.removeSync(`${server.dir}/log`, { recursive: true });
  await until("some time before the next try", () => {
    const { state } = driver;
    if (state.state === "ready" || state.next_try_at === undefined) return false;
    return Date.parse(state.next_try_at) - Date.now() > 900;
  });
  await server.start();
  // Numbers begin anew: this one is where "a" was.
  await using other = await bench.open();
  await other.push(jobs(["new"]));
  await ready(driver);
  await soon("both", Promise.all([a, b].map((one) => driver.settle(one, { kind: "ack" }))));
  assertEquals(bench.of("job_unsettled").length, 2);
  assertEquals(await drain(other, 1), ["new"]);
});

Deno.test("beanstalk: a job that takes longer than its time is given to nobody else", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port, { timeout: 3000 });
  await using one = await bench.open();
  await using other = await bench.open();
  await staysOurs(one, other, () => bench.pass(4500));
  assertEquals(await one.stat(), NONE);
});

/** Says something to beanstalkd as any program would. */
async function say(port: number, text: string): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text));
  const answer = new Uint8Array(1024);
  let got = "";
  while (!got.includes("INSERTED")) {
    got += new TextDecoder().decode(answer.subarray(0, await connection.read(answer) ?? 0));
  }
}

Deno.test("beanstalk: jobs of strangers, and garbage", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  const config = bench.config("default");
  await using driver = await bench.open("default", { config });
  const garbage = "supervisor/1 {broken\nx";
  await say(server.port, `use ${config.tube}\r\nput 3 0 1 5\r\nhello\r\n`);
  await say(server.port, `use ${config.tube}\r\nput 2 0 9 ${garbage.length}\r\n${garbage}\r\n`);
  const one = await soon("the stranger's", takeOne(driver));
  assertEquals([one.name, one.attempt], ["deduced_by_rr", 1]);
  assertEquals(new TextDecoder().decode(one.payload), "hello");
  await until("garbage is a dead letter", async () => (await driver.stat()).dead === 1);
  const [{ payload, error }] = await driver.dead(5);
  assertEquals(new TextDecoder().decode(payload), garbage);
  assert(error.includes("cannot be read"), error);
  assertEquals(bench.of("job_unreadable").length, 1);
  // It was to be ended within a second: it is kept as one of ours.
  await bench.pass(1500);
  assertEquals((await driver.stat()).reserved, 1);
  await driver.settle(one, again({ headers: { x: ["1"] } }));
  const { id, attempt, headers } = await takeOne(driver);
  assertEquals({ id, attempt, headers }, { id: one.id, attempt: 2, headers: { x: ["1"] } });
});

Deno.test("beanstalk: what is too large is refused; what grows too large stays as it was", async () => {
  await using server = await BrokerServer.start(beanstalkd("-z", "5000"));
  await using bench = new BeanstalkBench(server.port);
  await using driver = await bench.open();
  const fits = jobOf({ id: "fits", payload: new Uint8Array(3000) });
  const large = jobOf({ id: "large", payload: new Uint8Array(4900) });
  const refused = await assertRejects(
    () => driver.push([fits, large]),
    Error,
    "takes at most 5000",
  );
  assert((refused as { fix?: string }).fix?.includes("-z"));
  assertEquals(await driver.stat(), NONE);
  await driver.push([fits]);
  await driver.settle(await takeOne(driver), again({ headers: { x: ["y".repeat(3000)] } }));
  assertEquals(bench.of("job_unsettled").length, 1);
  const same = await takeOne(driver);
  assertEquals([same.attempt, same.headers], [1, {}]);
  await driver.settle(same, { kind: "dead", error: "long ".repeat(1000) });
  const [{ error }] = await driver.dead(1);
  assert(error.startsWith("long ") && error.length < 500);
});

Deno.test("beanstalk: without a log it is said that its end loses all jobs", async () => {
  await using server = await BrokerServer.start(beanstalkd.inMemory());
  await using bench = new BeanstalkBench(server.port);
  await bench.open();
  assertEquals(bench.of("pipeline_volatile").length, 1);
});

Deno.test("beanstalk: closed while it is away: in time, and what it had is told", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  const driver = await bench.open();
  await driver.push(jobs(["a"]));
  await takeOne(driver);
  server.freeze();
  await soon("the close", Promise.resolve(driver[Symbol.asyncDispose]()), 8000);
  assertEquals(bench.of("jobs_left_behind").length, 1);
  server.thaw();
});

Deno.test("beanstalk: doctor's question", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  const ask = (port: number) => {
    const settings = settingsOf({ driver: "beanstalk" });
    const broker = { addr: { host: "127.0.0.1", port }, timeout: 30_000 };
    return beanstalk.check!(settings, broker, hostOf(), AbortSignal.timeout(3000));
  };
  await ask(server.port);
  const nobody = freePort();
  await assertRejects(() => ask(nobody), Error, `beanstalkd at 127.0.0.1:${nobody}`);
  server.freeze();
  await assertRejects(() => ask(server.port));
  server.thaw();
});
