/** The driver redis, shared: by several daemons, by strangers who write into its queue. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { redisServer } from "../kit/brokers/redis.ts";
import { command, RedisDaemon, redisSettings } from "../kit/brokers/redis_daemon.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { soon, until } from "../kit/wait.ts";
import { jobOf, takeAll, takeIds, takeOne } from "../unit/plugins/jobs/conformance/kit.ts";
import { messages, readFiles } from "../unit/config/kit.ts";
import { jobsOf } from "../../lib/config/roadrunner/mod.ts";
import { sections } from "../../plugins/registry.ts";

const IN = "supervisor:jobs:{default}:in";
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const ack = { kind: "ack" } as const;

Deno.test("redis: two daemons share the jobs; who waits is woken by a push of the other", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using one = new RedisDaemon(server.port);
  await using two = new RedisDaemon(server.port);
  const [a, b] = [await one.open(redisSettings()), await two.open(redisSettings())];
  const taking = takeIds(b, 1);
  await a.push([jobOf({ id: "x" })]);
  assertEquals(await soon("the job", taking), ["x"]);
  // One that is due sooner than what a waits for.
  await a.push([jobOf({ id: "late", delay: 60_000 })]);
  const sooner = takeIds(a, 1);
  await b.push([jobOf({ id: "soon", delay: 100 })]);
  assertEquals(await soon("the delayed job", sooner), ["soon"]);
  const many = Array.from({ length: 100 }, (_, i) => jobOf({ id: `m${i}` }));
  await a.push(many);
  const both = (await Promise.all([takeAll(a, 50), takeAll(b, 50)])).flat();
  assertEquals(new Set(both.map(({ id }) => id)).size, 100);
});

Deno.test("redis: a key is unique for all daemons", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using one = new RedisDaemon(server.port);
  await using two = new RedisDaemon(server.port);
  const settings = redisSettings({}, { unique: { window: 60_000 } });
  const [a, b] = [await one.open(settings), await two.open(settings)];
  const push = (id: string) => [jobOf({ id, unique: "noon" })];
  await Promise.all([a.push(push("of a")), b.push(push("of b"))]);
  assertEquals((await a.stat()).waiting, 1);
});

Deno.test("redis: what strangers write is a job", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using daemon = new RedisDaemon(server.port);
  const driver = await daemon.open(redisSettings());
  const taking = takeOne(driver);
  const add = (...fields: string[]) => command(server.port, "XADD", IN, "*", ...fields);
  const id = await add("payload", "plain");
  const plain = await soon("the job", taking);
  assertEquals(
    [plain.id, plain.name, text(plain.payload), plain.priority, plain.headers],
    [id, "deduced_by_rr", "plain", 10, {}],
  );
  const headers = JSON.stringify({ a: "1", b: ["2", "3"] });
  await add("payload", "x", "id", "7", "name", "App\\Mail", "headers", headers, "priority", "3");
  const whole = await takeOne(driver);
  assertEquals(
    [whole.id, whole.name, whole.priority, whole.headers],
    ["7", "App\\Mail", 3, { a: ["1"], b: ["2", "3"] }],
  );
  await driver.settle(whole, { kind: "again", delay: 0, headers: { c: ["4"] }, attempt: 2 });
  const second = await takeOne(driver);
  assertEquals(
    [second.id, second.attempt, text(second.payload), second.headers],
    ["7", 2, "x", { c: ["4"] }],
  );
  await add("payload", "later", "delay", "60");
  const end = new AbortController();
  const waiting = driver.take(1, end.signal).catch(() => []);
  await until("it is delayed", async () => (await driver.stat()).delayed === 1);
  end.abort();
  await waiting;
});

Deno.test("redis: garbage is a dead letter that says why, and holds up nothing", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using daemon = new RedisDaemon(server.port);
  const driver = await daemon.open(redisSettings());
  const add = (...fields: string[]) => command(server.port, "XADD", IN, "*", ...fields);
  const ids = [
    await add("what", "nothing"),
    await add("payload", "x", "headers", "{"),
    await add("payload", "x", "headers", '{"a":1}'),
    await add("payload", "x", "m", "[]", "p", "x"),
  ];
  await add("payload", "x", "id", "odd", "priority", "nan", "delay", "nan");
  assertEquals((await takeOne(driver)).id, "odd");
  await driver.push([jobOf({ id: "good" })]);
  assertEquals((await takeOne(driver)).id, "good");
  await until("they are dead", async () => (await driver.stat()).dead === 4);
  const dead = await driver.dead(10);
  assertEquals(dead.map(({ id }) => id), ids);
  assertEquals(dead.map(({ error }) => error), [
    "it has no payload",
    "its headers are no JSON of texts, or lists of them",
    "its headers are no JSON of texts, or lists of them",
    "its description is none of ours",
  ]);
  assertStringIncludes(text(dead[0].payload), '"what":"nothing"');
  assertEquals(daemon.of("job_unreadable").map(({ id }) => id), ids);
  assertEquals(await driver.drop(dead[0].id), true);
  assertEquals(await driver.retry(dead[1].id), true);
  assertEquals((await takeOne(driver)).name, "deduced_by_rr");
});

Deno.test("redis: databases and prefixes are places of their own", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using zero = new RedisDaemon(server.port);
  await using one = new RedisDaemon(server.port, { db: 1 });
  const first = await zero.open(redisSettings());
  const others = [
    await one.open(redisSettings()),
    await zero.open(redisSettings({ prefix: "other:" })),
  ];
  await first.push([jobOf({ id: "a" })]);
  for (const other of others) assertEquals((await other.stat()).waiting, 0);
  await first.settle(await takeOne(first), ack);
  // Nothing grows with what has been.
  const keys = await command(server.port, "KEYS", "supervisor:jobs:{default}:*") as string[];
  const left = keys.map((key) => key.split(":").slice(3).join(":")).toSorted();
  assertEquals(left, ["bell", "priorities", "takers", "waiting:10"]);
});

Deno.test("redis: the example of the manual is a configuration", async () => {
  const path = fromFileUrl(new URL("../../docs/jobs-drivers/redis.md", import.meta.url));
  const manual = await Deno.readTextFile(path);
  const example = /```yaml\n([\s\S]+?)```/.exec(manual)![1];
  const { config, problems } = await readFiles(example, {}, sections());
  assertEquals(messages({ problems }), []);
  const jobs = jobsOf(config!)!;
  assertEquals(jobs.pipelines.mail.config, { prefix: "shop:jobs:", visibility_timeout: 120_000 });
  assertEquals(jobs.brokers.redis, {
    addr: { host: "redis.example", port: 6379 },
    username: "shop",
    password: "secret",
    db: 1,
    tls: undefined,
  });
});
