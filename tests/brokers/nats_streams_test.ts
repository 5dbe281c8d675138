/** The driver nats and what else lies at the server: strangers' messages, RoadRunner's, its streams. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { headers } from "@nats-io/transport-node";
import { realClock } from "../../lib/os/clock.ts";
import {
  consumerInfo,
  deleteConsumer,
  makeStream,
  streamInfo,
  toStore,
  wasStored,
} from "../../plugins/jobs/nats/api.ts";
import { NatsConnection } from "../../plugins/jobs/nats/connection.ts";
import { Keys } from "../../plugins/jobs/nats/keys.ts";
import { keyStream, placesOf } from "../../plugins/jobs/nats/names.ts";
import { natsServer } from "../kit/brokers/nats.ts";
import { NatsBench } from "../kit/brokers/nats_bench.ts";
import { down } from "../kit/brokers/scenes.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { soon, until } from "../kit/wait.ts";
import { jobOf, settleOne, takeAll, takeOne } from "../unit/plugins/jobs/conformance/kit.ts";

const server = await BrokerServer.start(natsServer());
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Somebody else at the server. */
class Stranger implements AsyncDisposable {
  private constructor(readonly connection: NatsConnection) {}

  static async of({ broker }: NatsBench): Promise<Stranger> {
    const { signal } = new AbortController();
    return new Stranger(await NatsConnection.dial(broker, realClock, signal));
  }

  async store(subject: string, data: Uint8Array, more: Record<string, string> = {}) {
    const all = headers();
    for (const [key, value] of Object.entries(more)) all.set(key, value);
    const message = { data, headers: all, size: 0 };
    wasStored(await this.connection.ask(toStore(subject, message)), subject);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.connection.close();
  }
}

const bench = () => new NatsBench(server.address);

Deno.test("nats: a message of RoadRunner is the job that it was", async () => {
  await using here = bench();
  await using driver = await here.open();
  const { subject } = here.config();
  await using stranger = await Stranger.of(here);
  await until("its stream is there", () => driver.state.state === "ready");
  const options = { priority: 3, pipeline: "other", auto_ack: true, Queue: "default-stream" };
  const message = { job: "App\\Mail", id: "r-1", payload: btoa("\xff\x00!"), options };
  await stranger.store(subject, encode(JSON.stringify(message)), { "X-Tenant": "7" });
  const { id, name, payload, headers, priority, auto_ack, attempt } = await takeOne(driver);
  assertEquals(
    { id, name, payload: [...payload], headers, priority, auto_ack, attempt },
    {
      id: "r-1",
      name: "App\\Mail",
      payload: [255, 0, 33],
      headers: { "X-Tenant": ["7"] },
      priority: 3,
      auto_ack: true,
      attempt: 1,
    },
  );
});

Deno.test("nats: what we write RoadRunner reads", async () => {
  await using here = bench();
  await using driver = await here.open();
  const { stream } = here.config();
  await driver.push([jobOf({
    id: "s-1",
    headers: { "X-Tenant": ["7", "8"], "ключ": ["value"] },
    payload: encode("hello"),
  })]);
  await using stranger = await Stranger.of(here);
  const asked = { subject: `$JS.API.STREAM.MSG.GET.${stream}`, data: encode('{"seq":1}') };
  const answer = await stranger.connection.ask(asked);
  const { message } = answer.json<{ message: { data: string; hdrs: string } }>();
  const { job, id, payload, options } = JSON.parse(atob(message.data));
  assertEquals([job, id, atob(payload)], ["App\\Job", "s-1", "hello"]);
  assertEquals(options, { priority: 10, pipeline: "default", auto_ack: false });
  assertEquals(atob(message.hdrs), "NATS/1.0\r\nX-Tenant: 7\r\nX-Tenant: 8\r\n\r\n");
});

for (
  const [what, data] of [
    ["bytes that are no text", Uint8Array.of(0xff, 0xfe, 0, 1)],
    ["nothing", new Uint8Array(0)],
    ["JSON of somebody else", encode('{"order": 7}')],
    ["JSON that is cut off", encode('{"job": "x", "id": "')],
    ["JSON with fields of other types", encode('{"job": 1, "id": [], "payload": null}')],
    [
      "JSON with headers that are none",
      encode('{"job":"a","id":"b","payload":"","headers":{"x":1}}'),
    ],
  ] as const
) {
  Deno.test(`nats: a stranger's message is a job: ${what}`, async () => {
    await using here = bench();
    await using driver = await here.open("default", { priority: 4 });
    const { subject } = here.config();
    await until("its stream is there", () => driver.state.state === "ready");
    await using stranger = await Stranger.of(here);
    await stranger.store(subject, data, { from: "shop" });
    const { id, name, payload, headers, attempt, priority } = await takeOne(driver);
    assert(/^[0-9a-f-]{36}$/.test(id), id);
    assertEquals(priority, 4, "the pipeline's");
    assertEquals({ name, payload: [...payload], headers, attempt }, {
      name: "deduced_by_rr",
      payload: [...data],
      headers: { from: ["shop"], "x-nats-subject": [subject] },
      attempt: 1,
    });
  });
}

Deno.test("nats: a payload that is no base64 is the text it is", async () => {
  await using here = bench();
  await using driver = await here.open();
  await until("its stream is there", () => driver.state.state === "ready");
  await using stranger = await Stranger.of(here);
  const message = encode('{"job": "a", "id": "b", "payload": "{\\"x\\": 1}"}');
  await stranger.store(here.config().subject, message);
  assertEquals(decode((await takeOne(driver)).payload), '{"x": 1}');
});

Deno.test("nats: a stream with a past, as RoadRunner makes it, is used as it is", async () => {
  await using here = bench();
  await using stranger = await Stranger.of(here);
  const { stream, subject } = here.config();
  await makeStream(stranger.connection, { name: stream, subjects: [subject] });
  await stranger.store(subject, encode("old"));
  const messages = async () => (await streamInfo(stranger.connection, stream))!.state.messages;

  const first = await here.open();
  await settleOne(first, { kind: "ack" });
  assertEquals(await messages(), 1, "what is done stays");
  await first[Symbol.asyncDispose]();

  const config = here.config("default", { delete_after_ack: true });
  const deletes = await here.open("default", { config });
  await deletes.push([jobOf({ id: "new" })]);
  assertEquals((await settleOne(deletes, { kind: "ack" })).id, "new");
  assertEquals(await messages(), 1, "what is done goes");
  assertEquals((await streamInfo(stranger.connection, stream))!.config.retention, "limits");
});

Deno.test("nats: deliver_new leaves the past of a stream alone", async () => {
  await using here = bench();
  await using stranger = await Stranger.of(here);
  const config = here.config("default", { deliver_new: true });
  await makeStream(stranger.connection, { name: config.stream, subjects: [config.subject] });
  await stranger.store(config.subject, encode("old"));
  await using driver = await here.open("default", { config });
  await driver.push([jobOf({ id: "new" })]);
  assertEquals((await takeOne(driver)).id, "new");
});

Deno.test("nats: a stream that lacks our subject gets it; two pipelines share a stream", async () => {
  await using here = bench();
  const config = here.config();
  await using one = await here.open("one", { config });
  const second = { ...config, subject: `${config.subject}.two` };
  await using two = await here.open("two", { config: second });
  await one.push([jobOf({ id: "of one" })]);
  await two.push([jobOf({ id: "of two" })]);
  assertEquals((await takeOne(two)).id, "of two");
  assertEquals((await takeOne(one)).id, "of one");
  await using stranger = await Stranger.of(here);
  const { subjects } = (await streamInfo(stranger.connection, config.stream))!.config;
  assertEquals(new Set(subjects), new Set([config.subject, second.subject]));
});

Deno.test("nats: a newer ack_wait is told to the server", async () => {
  await using here = bench();
  await (await here.open()).stat();
  const config = here.config("default", { ack_wait: 7000 });
  await (await here.open("default", { config })).stat();
  await using stranger = await Stranger.of(here);
  const { consumer, stream } = placesOf(config);
  const info = await consumerInfo(stranger.connection, stream, consumer);
  assertEquals(info?.config.ack_wait, 7_000_000_000);
});

Deno.test("nats: its consumer deleted under us is made again", async () => {
  await using here = bench();
  await using driver = await here.open();
  await driver.push([jobOf({ id: "a" })]);
  const taking = settleOne(driver, { kind: "ack" });
  await taking;
  const next = takeOne(driver);
  await using stranger = await Stranger.of(here);
  const { consumer, stream } = placesOf(here.config());
  await deleteConsumer(stranger.connection, stream, consumer);
  await driver.push([jobOf({ id: "b" })]);
  assertEquals((await soon("the next", next)).id, "b");
});

Deno.test("nats: too large is refused, with the limit, and nothing of the batch is stored", async () => {
  await using here = bench();
  await using driver = await here.open();
  const large = jobOf({ id: "large", payload: new Uint8Array(26_000_000) });
  const error = await assertRejects(() => driver.push([jobOf(), large]), Error, "large");
  const text =
    'job "large" takes 33.1 MiB as a message, and NATS takes at most 31.9 MiB in its files';
  assertEquals(error.message, text);
  assertEquals((await driver.stat()).waiting, 0);
});

Deno.test("nats: a stream that is full says so, and a settlement waits until there is room", async () => {
  await using here = bench();
  await using stranger = await Stranger.of(here);
  const { stream, subject } = here.config();
  const limits = { discard: "new", max_msgs: 2, retention: "workqueue" };
  await makeStream(stranger.connection, { name: stream, subjects: [subject], ...limits });
  await using driver = await here.open();
  await driver.push([jobOf({ id: "a" }), jobOf({ id: "b" })]);
  await assertRejects(() => driver.push([jobOf()]), Error, "maximum messages exceeded");
  const [a, b] = await takeAll(driver, 2);
  const again = driver.settle(a, { kind: "again", attempt: 2, delay: 0, headers: {} });
  await driver.settle(b, { kind: "ack" });
  await soon("room", again);
  assertEquals((await takeOne(driver)).attempt, 2);
});

Deno.test("nats: whoever stored a key and went before its job blocks nobody", async () => {
  await using here = bench();
  await using driver = await here.open();
  await until("its stream is there", () => driver.state.state === "ready");
  await using stranger = await Stranger.of(here);
  const places = placesOf(here.config());
  await new Keys(stranger.connection, places, 0).idOf({ key: "k k", window: 60_000 });
  const job = (id: string) => jobOf({ id, unique: "k k", unique_window: 60_000 });
  await driver.push([job("a")]);
  await driver.push([job("b")]);
  assertEquals((await settleOne(driver, { kind: "ack" })).id, "a");
  assertEquals((await driver.stat()).waiting, 0);
  assert(await streamInfo(stranger.connection, keyStream(places, 60_000)) !== undefined);
});

Deno.test("nats: a unique job with a delay comes in its time, once", async () => {
  await using here = bench();
  await using driver = await here.open("default", { unique: { window: 60_000 } });
  const job = (id: string) => jobOf({ id, unique: "k", delay: 700 });
  await driver.push([job("a"), job("b")]);
  const taking = takeOne(driver);
  await until("it waits for its time", async () => (await driver.stat()).delayed === 1);
  assertEquals((await soon("its time", taking)).id, "a");
  await until("it waits no more", async () => (await driver.stat()).delayed === 0);
  assertEquals(await driver.stat(), { waiting: 0, delayed: 0, reserved: 1, dead: 0 });
});

Deno.test("nats: delete_stream_on_stop", async () => {
  await using here = bench();
  await using stranger = await Stranger.of(here);
  const config = here.config("default", { delete_stream_on_stop: true });
  const driver = await here.open("default", { config });
  await driver.push([jobOf()]);
  await driver[Symbol.asyncDispose]();
  assertEquals(await streamInfo(stranger.connection, config.stream), undefined);
});

Deno.test("nats: a server without JetStream is said", async () => {
  const recipe = natsServer();
  const plain = {
    ...recipe,
    argv: (port: number) => ["nats-server", "-a", "127.0.0.1", "-p", String(port)],
  };
  await using server = await BrokerServer.start(plain);
  await using here = new NatsBench(server.address);
  const { error } = await down(await here.begin());
  assert(error.includes("JetStream is not enabled"), error);
});
