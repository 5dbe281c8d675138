/** The driver beanstalk where several daemons share a tube, or one is heard of no more. */

import { assertEquals } from "@std/assert";
import type { Driver } from "../../plugins/jobs/driver.ts";
import { beanstalkd } from "../kit/brokers/beanstalk.ts";
import { BeanstalkBench } from "../kit/brokers/beanstalk_bench.ts";
import { drain, ids, jobs, NONE } from "../kit/brokers/scenes.ts";
import { BrokerServer } from "../kit/brokers/server.ts";
import { soon, until } from "../kit/wait.ts";
import { takeAll } from "../unit/plugins/jobs/conformance/kit.ts";

/** A way to a server whose end only we notice, as when a router forgets a connection. */
class Way implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #near: Deno.Conn[] = [];
  readonly #far: Deno.Conn[] = [];
  readonly #over: Promise<unknown>;

  constructor(port: number) {
    this.#over = this.#serve(port);
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** Ends all connections on our side. @returns ends them on the other side, too */
  cut(): () => void {
    const far = this.#far.splice(0);
    for (const near of this.#near.splice(0)) near.close();
    return () => {
      for (const one of far) one.close();
    };
  }

  async #serve(port: number): Promise<void> {
    const pipes: Promise<unknown>[] = [];
    for await (const near of this.#listener) {
      const far = await Deno.connect({ hostname: "127.0.0.1", port });
      this.#near.push(near);
      this.#far.push(far);
      pipes.push(copy(near, far), copy(far, near));
    }
    await Promise.all(pipes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut()();
    await this.#over;
  }
}

async function copy(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  try {
    for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
      await to.write(buffer.subarray(0, count));
    }
  } catch {
    // One of both was cut.
  }
}

Deno.test("beanstalk: a connection of whose end it does not hear: what it had is ours again, and nobody else's", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using way = new Way(server.port);
  await using bench = new BeanstalkBench(way.port);
  const driver = await bench.open();
  await driver.push(jobs(ids(3)));
  const [acked, later, dead] = await takeAll(driver, 3);
  const enough = new AbortController();
  const taking = driver.take(5, enough.signal).then((got) => got.map(({ id }) => id), () => []);
  const hear = way.cut();
  await until("it is noticed", () => driver.state.state === "connecting");
  const settled = Promise.all([
    driver.settle(acked, { kind: "ack" }),
    driver.settle(dead, { kind: "dead", error: "bad day" }),
  ]);
  await until("it is ready", () => driver.state.state === "ready");
  assertEquals((await driver.stat()).reserved, 3);
  hear();
  await soon("what was settled", settled);
  await driver.settle(later, { kind: "ack" });
  enough.abort();
  assertEquals(await taking, []);
  assertEquals(await driver.stat(), { ...NONE, dead: 1 });
  assertEquals(bench.told.filter(([name]) => name === "job_unsettled"), []);
});

/** Another daemon that has `count` jobs of the tube. */
async function taker(port: number, tube: string, timeout: number, count: number) {
  const program = new URL("../kit/brokers/beanstalk_taker.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, ...[port, tube, timeout, count].map(String)],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const input = child.stdin.getWriter();
  let text = "";
  /** Reads on until it has said that. */
  const said = async (words: string) => {
    while (!text.includes(`${words}\n`)) {
      text += (await soon(`it says "${words}"`, lines.read())).value ?? "";
    }
  };
  await said(`has ${count}`);
  return {
    child,
    said,
    /** Lets it end what it has. */
    finish: () => input.write(new Uint8Array(1)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await lines.cancel();
      await input.close().catch(() => {}); // its reader is gone
    },
  };
}

Deno.test("beanstalk: what a killed daemon had comes to another at once", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  const config = bench.config("shared");
  await using driver = await bench.open("shared", { config });
  await driver.push(jobs(ids(5)));
  {
    await using _ = await taker(server.port, config.tube, 600_000, 3);
    assertEquals((await driver.stat()).reserved, 3);
  }
  assertEquals(new Set(await drain(driver, 5)), new Set(ids(5)));
  assertEquals(await driver.stat(), NONE);
});

Deno.test("beanstalk: what a daemon lost while it stood still it does not end, and says so", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  const config = bench.config("shared");
  await using driver = await bench.open("shared", { config });
  await driver.push(jobs(ids(3)));
  await using other = await taker(server.port, config.tube, 30_000, 3);
  other.child.kill("SIGSTOP");
  await server.kill();
  await server.start();
  assertEquals(new Set(await drain(driver, 3)), new Set(ids(3)));
  other.child.kill("SIGCONT");
  await other.said("ready");
  await other.finish();
  await other.said("lost 3");
  assertEquals(await driver.stat(), NONE);
});

Deno.test("beanstalk: two daemons on one tube: each job once", async () => {
  await using server = await BrokerServer.start(beanstalkd());
  await using bench = new BeanstalkBench(server.port);
  await using one = await bench.open();
  await using other = await bench.open();
  const seen: string[] = [];
  const end = new AbortController();
  const work = async (driver: Driver) => {
    while (!end.signal.aborted) {
      const some = await driver.take(3, end.signal).catch(() => []);
      await Promise.all(some.map((taken) => driver.settle(taken, { kind: "ack" })));
      seen.push(...some.map(({ id }) => id));
    }
  };
  const both = Promise.all([work(one), work(other)]);
  // One by one, so that both wait most of the time.
  for (const id of ids(200)) await one.push(jobs([id]));
  await until("all of them", () => seen.length >= 200);
  end.abort();
  await both;
  assertEquals(seen.toSorted(), ids(200).toSorted());
  assertEquals(await one.stat(), NONE);
});
