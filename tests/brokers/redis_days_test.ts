/** The driver redis on bad days: the server is absent, ends, freezes, is full; a daemon vanishes. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { Driver } from "../../plugins/jobs/driver.ts";
import { redis } from "../../plugins/jobs/redis/recipe.ts";
import { redisServer } from "../kit/brokers/redis.ts";
import { command, RedisDaemon, redisSettings } from "../kit/brokers/redis_daemon.ts";
import { down, jobs, NONE, ready } from "../kit/brokers/scenes.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { soon, until } from "../kit/wait.ts";
import { again, takeAll, takeIds, takeOne } from "../unit/plugins/jobs/conformance/kit.ts";

const ack = { kind: "ack" } as const;

/** Why it is not connected, once it says so. */
async function trouble(driver: Driver): Promise<string> {
  return (await down(driver)).error;
}

Deno.test("redis: absent at start: it says so, a push waits, and all goes on when it comes", async () => {
  await using server = new BrokerServer(redisServer());
  await using daemon = new RedisDaemon(server.port);
  const driver = await daemon.begin(redisSettings());
  assertStringIncludes(await trouble(driver), "ECONNREFUSED");
  assert(driver.state.state === "connecting" && driver.state.next_try_at !== undefined);
  const late = new AbortController();
  const pushed = driver.push(jobs(["lost"]), late.signal);
  late.abort();
  const error = await assertRejects(() => pushed, Error, `redis at ${server.address}`);
  assertStringIncludes(error.message, "is not connected: connect ECONNREFUSED");
  await assertRejects(
    () => redis.check!(redisSettings(), daemon.broker, daemon.host, AbortSignal.timeout(3000)),
    Error,
    "is not connected",
  );
  const pushing = driver.push(jobs(["a"]));
  const taking = takeIds(driver, 5);
  await server.start();
  await soon("the push", pushing);
  assertEquals(await soon("the job", taking), ["a"]);
  await redis.check!(redisSettings(), daemon.broker, daemon.host, AbortSignal.timeout(3000));
});

for (const end of ["stop", "kill"] as const) {
  Deno.test(`redis: ${end} and start while jobs are reserved, pushed and taken`, async () => {
    await using server = await BrokerServer.start(redisServer());
    await using daemon = new RedisDaemon(server.port);
    const driver = await daemon.open(redisSettings());
    await driver.push(jobs(["a", "b", "c", "d"]));
    const [a, b, c, d] = await takeAll(driver, 4);
    const taking = takeIds(driver, 1);
    await server[end]();
    await trouble(driver);
    const settling = [
      driver.settle(a, ack),
      driver.settle(b, again({ attempt: 2, error: "late" })),
      driver.settle(c, { kind: "dead", error: "it failed" }),
    ];
    const pushing = driver.push(jobs(["e"]));
    await server.start();
    await soon("the settlements", Promise.all([...settling, pushing]));
    assertEquals((await soon("a job", taking)).length, 1);
    assertEquals((await takeAll(driver, 1)).length, 1);
    assertEquals(await driver.stat(), { waiting: 0, delayed: 0, reserved: 3, dead: 1 });
    await driver.settle(d, ack);
    assertEquals(daemon.of("job_unsettled"), []);
  });
}

Deno.test("redis: a server that stands still is noticed; what it did without an answer is found", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using daemon = new RedisDaemon(server.port);
  const driver = await daemon.open(redisSettings());
  await driver.push(jobs(["a", "b", "c"]));
  const one = await takeOne(driver);
  server.freeze();
  const settling = driver.settle(one, ack);
  // It is done when the server goes on, and nobody hears of it: these jobs must not stay with us.
  const taking = takeIds(driver, 5);
  const pushing = driver.push(jobs(["d"])).catch((error) => error.message);
  assertStringIncludes(await soon("an error", pushing), "it is not known whether");
  assertStringIncludes(await trouble(driver), "did not answer within 5 s");
  server.thaw();
  await soon("the settlement", settling);
  assertEquals((await soon("the jobs", taking)).slice(0, 2), ["b", "c"]);
  assertEquals(daemon.of("job_unsettled"), []);
});

Deno.test("redis: a daemon that vanished without a word: its jobs come to another, those of the living do not", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using daemon = new RedisDaemon(server.port);
  const driver = await daemon.open(redisSettings({ visibility_timeout: 1500 }));
  await driver.push(jobs(["mine", "a", "b", "c"]));
  const mine = await takeOne(driver);
  const taker = fromFileUrl(new URL("../kit/brokers/redis_taker.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", taker, String(server.port), "1500", "3"],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  try {
    assertEquals(new TextDecoder().decode((await soon("it has them", reader.read())).value), "3\n");
    assertEquals((await driver.stat()).reserved, 4);
  } finally {
    child.kill("SIGKILL");
    await reader.cancel();
    await child.status;
  }
  await using other = new RedisDaemon(server.port);
  const next = await other.open(redisSettings({ visibility_timeout: 1500 }));
  const taken = await soon("its jobs", takeAll(next, 3));
  assertEquals(taken.map(({ id, attempt }) => [id, attempt]), [["a", 1], ["b", 1], ["c", 1]]);
  for (const one of taken) await next.settle(one, ack);
  await driver.settle(mine, ack);
  assertEquals(await driver.stat(), NONE);
  assertEquals([...daemon.of("job_unsettled"), ...other.of("job_unsettled")], []);
});

Deno.test("redis: whoever stood still for too long settles nothing of what others have", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using daemon = new RedisDaemon(server.port);
  const settings = redisSettings({ visibility_timeout: 60_000 });
  const driver = await daemon.open(settings);
  await driver.push(jobs(["a"]));
  const one = await takeOne(driver);
  // As if the time were over: the server forgets that it lives.
  await command(
    server.port,
    "ZADD",
    "supervisor:jobs:{default}:takers",
    "XX",
    "1",
    await consumer(),
  );
  await using other = new RedisDaemon(server.port);
  const next = await other.open(settings);
  const again = await takeOne(next);
  assertEquals(again.id, "a");
  await driver.settle(one, ack);
  assertEquals(daemon.of("job_unsettled").map(({ id }) => id), ["a"]);
  assertEquals((await next.stat()).reserved, 1);
  await next.settle(again, ack);
  // It goes on as somebody new.
  await driver.push(jobs(["b"]));
  assertEquals(await takeIds(driver, 1), ["b"]);

  async function consumer(): Promise<string> {
    const all = await command(server.port, "ZRANGE", "supervisor:jobs:{default}:takers", "0", "-1");
    return (all as string[])[0];
  }
});

Deno.test("redis: closed while the server is away: soon, and it says what it left", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using daemon = new RedisDaemon(server.port);
  const driver = await daemon.open(redisSettings({ visibility_timeout: 1000 }));
  await driver.push(jobs(["a"]));
  const one = await takeOne(driver);
  await server.kill();
  await trouble(driver);
  const settling = driver.settle(one, ack).catch((error) => error.message);
  await soon("the end", Promise.resolve(driver[Symbol.asyncDispose]()));
  assertStringIncludes(await settling, "is closed");
  assertEquals(daemon.of("jobs_left_behind").map(({ jobs }) => jobs), [1]);
  await server.start();
  const next = await daemon.open(redisSettings({ visibility_timeout: 1000 }));
  assertEquals(await soon("the job", takeIds(next, 1)), ["a"]);
});

Deno.test("redis: a wrong password, a copy, a cluster are said, and cured without us", async () => {
  await using server = await BrokerServer.start(redisServer("--requirepass", "secret"));
  await using daemon = new RedisDaemon(server.port, { password: "wrong" });
  const driver = await daemon.begin(redisSettings());
  assertStringIncludes(await trouble(driver), "WRONGPASS");
  await using without = new RedisDaemon(server.port);
  assertStringIncludes(await trouble(await without.begin(redisSettings())), "NOAUTH");
  await using right = new RedisDaemon(server.port, { password: "secret" });
  await (await right.open(redisSettings())).push(jobs(["a"]));

  await using copy = await BrokerServer.start(redisServer("--replicaof", "127.0.0.1", "1"));
  await using ofCopy = new RedisDaemon(copy.port);
  const copied = await ofCopy.begin(redisSettings());
  assertStringIncludes(await trouble(copied), "that only copies another");
  await command(copy.port, "REPLICAOF", "NO", "ONE");
  await ready(copied);

  await using cluster = await BrokerServer.start(redisServer("--cluster-enabled", "yes"));
  await using ofCluster = new RedisDaemon(cluster.port);
  const error = await trouble(await ofCluster.begin(redisSettings()));
  assertStringIncludes(error, "is Redis Cluster, which is not supported");
});

Deno.test("redis: a user that may not ask about the server, and scripts that somebody removed", async () => {
  await using server = await BrokerServer.start(redisServer());
  const acl = "ACL SETUSER shop on >secret ~shop:* +@all -info -config".split(" ");
  await command(server.port, ...acl);
  await using daemon = new RedisDaemon(server.port, { username: "shop", password: "secret" });
  const driver = await daemon.open(redisSettings({ prefix: "shop:" }));
  await command(server.port, "SCRIPT", "FLUSH");
  await driver.push(jobs(["a"]));
  assertEquals(await takeIds(driver, 1), ["a"]);
  const foreign = await daemon.open(redisSettings({ prefix: "others:" }), "foreign");
  const error = await assertRejects(() => foreign.push(jobs(["x"])), Error, "says: ");
  assertStringIncludes(error.message, "the jobs were not stored");
});

Deno.test("redis: a full server refuses pushes, takes settlements that free room, and the rest later", async () => {
  await using server = await BrokerServer.start(redisServer());
  await using daemon = new RedisDaemon(server.port);
  const driver = await daemon.open(redisSettings());
  await driver.push(jobs(["a", "b"]));
  const [a, b] = await takeAll(driver, 2);
  await command(server.port, "CONFIG", "SET", "maxmemory", "1");
  await assertRejects(() => driver.push(jobs(["c"])), Error, "OOM command not allowed");
  const moving = driver.settle(b, again());
  await until("it is told", () => daemon.of("pipeline_down").length > 0);
  await soon("the end of a", driver.settle(a, ack));
  await command(server.port, "CONFIG", "SET", "maxmemory", "0");
  await soon("the move of b", moving);
  assertEquals(await driver.stat(), { ...NONE, waiting: 1 });
});

Deno.test("redis: a server without a file for its jobs is warned of", async () => {
  await using server = await BrokerServer.start(redisServer("--appendonly", "no"));
  await using daemon = new RedisDaemon(server.port);
  await daemon.open(redisSettings());
  const [{ reason }] = daemon.of("pipeline_volatile");
  assertStringIncludes(reason as string, "appendonly no");
  await using safe = await BrokerServer.start(redisServer());
  await using other = new RedisDaemon(safe.port);
  await other.open(redisSettings());
  assertEquals(other.of("pipeline_volatile"), []);
});
