/** The driver nats on bad days: the server is absent, ends, freezes; a daemon vanishes. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { placesOf } from "../../plugins/jobs/nats/names.ts";
import { nats } from "../../plugins/jobs/nats/recipe.ts";
import { hostOf } from "../kit/brokers/bench.ts";
import { natsServer } from "../kit/brokers/nats.ts";
import { NatsBench } from "../kit/brokers/nats_bench.ts";
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
import { Scratch } from "../kit/scratch.ts";
import { soon, until } from "../kit/wait.ts";
import {
  again,
  jobOf,
  settingsOf,
  takeAll,
  takeOne,
} from "../unit/plugins/jobs/conformance/kit.ts";

Deno.test("nats: absent at start; a push waits for it, and everything works when it comes", async () => {
  const server = new BrokerServer(natsServer());
  await using _ = server;
  await using bench = new NatsBench(server.address);
  const driver = await bench.begin();
  assert((await down(driver)).next_try_at !== undefined);
  const impatient = new AbortController();
  const given = driver.push(jobs(["never"]), impatient.signal);
  impatient.abort(new Error("too long"));
  await assertRejects(() => given, Error, `nats at ${server.address} is not connected: `);
  const stat = await assertRejects(() => driver.stat(), Error, `nats at ${server.address}`);
  assert(stat.message.includes("is not connected: "), stat.message);
  const pushed = driver.push(jobs(["a"]));
  const taking = takeOne(driver);
  await server.start();
  await soon("the push", pushed);
  assertEquals((await soon("the job", taking)).id, "a");
  assertEquals(driver.state, { state: "ready" });
});

Deno.test("nats: killed and started again: nothing is lost, nothing that is acknowledged comes again", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const driver = await bench.open();
  await driver.push(jobs(ids(100)));
  const held = await takeAll(driver, 40);
  await server.kill();
  await until("it is noticed", () => driver.state.state === "connecting");
  const settled = Promise.all(held.map((one, at) =>
    driver.settle(
      one,
      at < 10 ? { kind: "ack" } : at < 20 ? again() : at < 30 ? { kind: "back" } : {
        kind: "dead",
        error: "bad day",
      },
    )
  ));
  const late = driver.push(jobs(["late"]));
  const taking = driver.take(1000, new AbortController().signal);
  await server.start();
  await soon("what was settled", settled);
  await soon("what was pushed", late);
  const first = await soon("jobs", taking);
  await Promise.all(first.map((one) => driver.settle(one, { kind: "ack" })));
  const rest = await drain(driver, 81 - first.length);
  const all = [...first.map(({ id }) => id), ...rest];
  assertEquals(new Set(all), new Set([...ids(100).slice(10, 30), ...ids(100).slice(40), "late"]));
  assertEquals(await driver.stat(), { ...NONE, dead: 10 });
});

Deno.test("nats: ended in the middle of a stream of pushes: what was confirmed is there", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const driver = await bench.open();
  await confirmedStays(server, driver, 300);
});

Deno.test("nats: frozen: noticed, and what waits ends; thawed: it goes on", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const driver = await bench.open();
  await driver.push(jobs(["a"]));
  const one = await takeOne(driver);
  server.freeze();
  // It may have answered a last time before it stood still.
  const error: Error = await until(
    "it stands still",
    () => driver.push(jobs(["b"])).then(() => undefined, (error) => error),
  );
  assert(error.message.includes("no answer within 8 s"), error.message);
  assert(error.message.startsWith("whether NATS stored the jobs is not known"), error.message);
  const settled = driver.settle(one, { kind: "ack" });
  assertEquals(driver.state.state, "connecting");
  server.thaw();
  await soon("the settlement", settled);
  await ready(driver);
  assertEquals((await driver.stat()).reserved, 0);
});

Deno.test("nats: a wrong password is said, and it is tried for ever", async () => {
  const user = { user: "shop", password: "right" };
  await using server = await BrokerServer.start(natsServer(user));
  await using wrong = new NatsBench(server.address, { user: "shop", password: "wrong" });
  const { error } = await down(await wrong.begin());
  assert(/authorization/i.test(error), error);
  assert(!error.includes("wrong"));
  await using right = new NatsBench(server.address, user);
  await using other = await right.open();
  await other.push(jobs(["a"]));
  const url = `nats://shop:right@${server.address}`;
  await using inUrl = new NatsBench(server.address, { addr: url });
  await inUrl.open();
});

Deno.test("nats: what a killed daemon had comes to another after ack_wait", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const config = bench.config("shared", { ack_wait: 1000 });
  await using driver = await bench.open("shared", { config });
  await driver.push(jobs(ids(5)));
  const { stream, subject } = config;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      new URL("../kit/brokers/nats_taker.ts", import.meta.url).pathname,
      ...[server.address, stream, subject, "1000", "3"],
    ],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  try {
    const { value } = await soon("the other has them", reader.read());
    assertEquals(new TextDecoder().decode(value).trim(), "3");
    assertEquals((await driver.stat()).reserved, 3);
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
  }
  assertEquals(new Set(await drain(driver, 5)), new Set(ids(5)));
  assertEquals(await driver.stat(), NONE);
});

Deno.test("nats: a job that takes longer than ack_wait is given to nobody else", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const config = bench.config("shared", { ack_wait: 1000 });
  await using one = await bench.open("shared", { config });
  await using other = await bench.open("shared", { config });
  await staysOurs(one, other, () => bench.pass(2500));
  assertEquals(await one.stat(), NONE);
});

Deno.test("nats: a job that we have stays ours when the server was away for longer than ack_wait", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const config = bench.config("shared", { ack_wait: 1000 });
  await using driver = await bench.open("shared", { config });
  await driver.push(jobs(["ours"]));
  const ours = await takeOne(driver);
  const taking = takeOne(driver);
  // Its connections stay, and the time of the job is over when it goes on.
  server.freeze();
  await bench.pass(2000);
  server.thaw();
  await bench.pass(500);
  await driver.push(jobs(["next"]));
  assertEquals((await soon("the next", taking)).id, "next");
  await driver.settle(ours, { kind: "ack" });
  assertEquals(await driver.stat(), { ...NONE, reserved: 1 });
});

Deno.test("nats: a server that forgot which jobs are done serves the others at once", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const config = bench.config("forgetful", { ack_wait: 1000 });
  await using driver = await bench.open("forgetful", { config });
  await driver.push(jobs(ids(400)));
  const held = await takeAll(driver, 400);
  const { stream, consumer } = placesOf(config);
  const file = `${server.dir}/store/jetstream/$G/streams/${stream}/obs/${consumer}/o.dat`;
  const end = async () => {
    await server.stop();
    await until("it is noticed", () => driver.state.state === "connecting");
    return Deno.readFileSync(file);
  };
  const before = await end();
  await server.start();
  const left = held.filter((_, at) => at % 100 === 50);
  await Promise.all(
    held.map((one) => driver.settle(one, { kind: left.includes(one) ? "back" : "ack" })),
  );
  await end();
  // As after a kill: its stream knows what is gone, its consumer does not.
  Deno.writeFileSync(file, before);
  await server.start();
  await driver.push(jobs(["new"]));
  const waiting = [...left.map(({ id }) => id), "new"];
  assertEquals(new Set(await drain(driver, 5)), new Set(waiting));
  assertEquals(await driver.stat(), NONE);
  assertEquals(bench.told, [[
    "pipeline_reminded",
    { pipeline: "forgetful", driver: "nats", jobs: 396 },
  ]]);
});

Deno.test("nats: delayed jobs outlive the server's end, and come in their time", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  await using driver = await bench.open();
  await driver.push([
    jobOf({ id: "soon", delay: 1500 }),
    jobOf({ id: "much later", delay: 60_000 }),
  ]);
  await until("the server knows when", async () => (await driver.stat()).delayed === 2);
  await server.kill();
  await server.start();
  assertEquals(await drain(driver, 1), ["soon"]);
  await until("the other waits", async () => (await driver.stat()).delayed === 1);
  assertEquals(await driver.stat(), { ...NONE, delayed: 1 });
});

Deno.test("nats: its stream deleted under us: said, made again, and nothing hangs", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const config = bench.config("gone");
  await using driver = await bench.open("gone", { config });
  await driver.push(jobs(["a", "b"]));
  const [one, two] = await takeAll(driver, 2);
  const taking = takeOne(driver);
  const deleting = bench.make("gone", { config: { ...config, delete_stream_on_stop: true } });
  await deleting.open();
  await ready(deleting);
  await deleting[Symbol.asyncDispose]();
  await until("it is said", () => bench.told.some(([name]) => name === "jobs_lost"));
  await soon(
    "their ends",
    Promise.all([
      driver.settle(one, { kind: "ack" }),
      driver.settle(two, again()),
    ]),
  );
  assertEquals((await soon("the one that was stored anew", taking)).id, "b");
});

Deno.test("nats: closed while the server is frozen: bounded, and said", async () => {
  await using server = await BrokerServer.start(natsServer());
  await using bench = new NatsBench(server.address);
  const driver = await bench.open();
  await driver.push(jobs(["a"]));
  await takeOne(driver);
  server.freeze();
  await soon("its end", Promise.resolve(driver[Symbol.asyncDispose]()));
  const reason = "NATS is away; they come again within 30s";
  assertEquals(bench.told, [["jobs_left_behind", { pipeline: "default", jobs: 1, reason }]]);
});

Deno.test("nats: TLS, with the server's certificate and without it", async () => {
  using scratch = new Scratch();
  const [cert, key] = [scratch.path("cert.pem"), scratch.path("key.pem")];
  const made = new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
      ...["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
    ],
    stderr: "null",
  }).outputSync();
  assert(made.success);
  const tls = `tls { cert_file: "${cert}", key_file: "${key}" }`;
  await using server = await BrokerServer.start(natsServer(undefined, tls));
  const addr = `tls://localhost:${server.port}`;
  await using bench = new NatsBench("", { addr, tls: { root_ca: cert } });
  const driver = await bench.open();
  await driver.push(jobs(["a"]));
  assertEquals((await takeOne(driver)).id, "a");
  await using distrusting = new NatsBench("", { addr });
  const { error } = await down(await distrusting.begin());
  assert(/certificate/i.test(error), error);
});

Deno.test("nats: doctor's question", async () => {
  await using server = await BrokerServer.start(natsServer({ user: "u", password: "p" }));
  const ask = (addr: string) => {
    const settings = settingsOf({ driver: "nats" });
    return nats.check!(settings, { addr }, hostOf(), new AbortController().signal);
  };
  await ask(`nats://u:p@${server.address}`);
  await assertRejects(() => ask(`nats://u:x@${server.address}`), Error, "uthorization");
  const nobody = `127.0.0.1:${freePort()}`;
  await assertRejects(() => ask(`nats://${nobody}`), Error, `nats at ${nobody}: `);
});
