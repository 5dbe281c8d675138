/**
 * Ports of a deploy: a stranger on the port never passes for the program, a port taken at the last
 * moment is replaced by another (three tries), and a fixed port that the old release holds is refused
 * before anything starts.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { deploy, type Deploying } from "../kit/deploying.ts";
import { Fifo } from "../kit/gate.ts";
import { freePort, freeRange } from "../kit/ports.ts";
import { program, webProcess } from "../kit/programs.ts";

const config = { proxy: { force_stop_timeout: "300ms" }, processes: { web: webProcess() } };

/** A program of somebody else: answers every request well. */
function stranger(port: number) {
  return Deno.serve(
    { hostname: "127.0.0.1", port, onListen: () => {} },
    () => new Response("hello, I am nobody's child"),
  );
}

/** The port that the release being started was given, once it is another than those of `before`. */
function portOf(d: Daemon, release: string, before: number[]): Promise<number> {
  return d.statusUntil(`a port of ${release}`, ({ releases }) => {
    const found = releases.find((one) => one.release_id === release);
    const { web } = found?.ports ?? {};
    const runs = found?.processes.some((process) => process.pid !== undefined);
    return runs && web !== undefined && !before.includes(web) ? web : undefined;
  });
}

/** Takes the port of `count` tries in a row. */
async function takePorts(d: Daemon, deploying: Deploying, count: number) {
  const strangers: Deno.HttpServer[] = [];
  const ports: number[] = [];
  for (let tries = 0; tries < count; tries++) {
    const port = await portOf(d, "v2", ports);
    strangers.push(stranger(port));
    ports.push(port);
    if (tries < count - 1) await deploying.step("building", `port ${port} was taken`);
  }
  return {
    ports,
    async [Symbol.asyncDispose]() {
      await Promise.all(strangers.map((server) => server.shutdown()));
    },
  };
}

daemonTest("a stranger that answers on the port is not the program; after three ports it fails", {
  config,
}, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  await deploy(d, "v1").live();
  const before = d.leftovers().length;
  const deploying = deploy(d, "v2", { start_gate: gate.path });
  await using taken = await takePorts(d, deploying, 3);
  const { error, fix, detail } = await deploying.failure();
  assertMatch(error, new RegExp(`port ${taken.ports[2]} is listened on by pid ${Deno.pid} `));
  assertMatch(error, /which is not this program/);
  assertMatch(fix!, /range of ports/);
  assertEquals(detail?.port_taken, true);
  const retries = (await d.events()).filter((event) => event.event === "port_retry");
  assertEquals(retries.map(({ data }) => data.port), taken.ports.slice(0, 2));
  assertEquals((await d.get()).text.trim(), "v1");
  assertEquals(d.leftovers().length, before, "nothing of the three tries is left");
});

daemonTest("a port taken before the program binds it is replaced by another", {
  config,
}, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  await deploy(d, "v1").live();
  const deploying = deploy(d, "v2", { start_gate: gate.path });
  await using taken = await takePorts(d, deploying, 2);
  await deploying.step("building", `port ${taken.ports[1]} was taken`);
  const port = await portOf(d, "v2", taken.ports);
  gate.release(3);
  const result = await deploying.live();
  assertEquals(result.active_release_id, "v2");
  const { text } = await d.get();
  assertEquals(text.trim(), "v2");
  const { releases } = await d.status();
  assertEquals(releases.find((one) => one.release_id === "v2")!.ports.web, port);
});

daemonTest("a program that cannot bind its port gets another one", {
  // The probe waits, so that the program is the first to notice.
  config: {
    ...config,
    processes: {
      web: webProcess({ health: { path: "/ping", interval: "20ms", start_delay: "1500ms" } }),
    },
  },
}, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  const deploying = deploy(d, "v2", { start_gate: gate.path });
  await using taken = await takePorts(d, deploying, 1);
  gate.release(2);
  await deploying.step("building", `port ${taken.ports[0]} was taken`);
  await deploying.live();
  assertEquals((await d.get()).text.trim(), "v2");
  const failed = await d.event("process_start_failed");
  assertMatch(String(failed.data.error), /another program listens on its port|is listened on by/);
});

daemonTest("a fixed port that the old release holds is refused before anything starts", {
  config: () => ({
    proxy: {},
    processes: {
      worker: { command: program("worker.sh") },
      web: webProcess({ port: freePort() }),
    },
  }),
}, async (d) => {
  await deploy(d, "v1").live();
  const started = async () =>
    (await d.events()).filter((event) => event.event === "process_started").length;
  const before = await started();
  const { code, stderr } = await d.cli("deploy", "--release-path", d.release("v2"));
  assertEquals(code, 1);
  assertMatch(stderr, /port \d+ of "web of \S+" is still held by web of v1/);
  assertMatch(stderr, /fix: give a range, such as \d+-\d+/);
  assertEquals(await started(), before, "not even the companion was started");
  assertEquals((await d.get()).text.trim(), "v1");
});

daemonTest("a range that is used up is refused with what holds it", {
  config: (place) => ({
    proxy: {},
    processes: { web: webProcess({ port: freeRange(2), env: { FLAG: `${place.dir}/flag` } }) },
  }),
}, async (d) => {
  await deploy(d, "v1").live();
  const held = d.get(`/wait?flag=${d.path("flag")}`);
  await d.statusUntil("the request to be held", ({ leases }) => leases === 1);
  await deploy(d, "v2").live();
  const { error, fix } = await deploy(d, "v3").failure();
  assertMatch(
    error,
    /no port of \d+-\d+ \(2 ports\) is free on 127\.0\.0\.1.*2 reserved by running releases/,
  );
  assert(fix!.includes("widen the range"));
  d.write("flag", "");
  assertEquals((await held).text.trim(), "v1");
  await d.event("release_stopped", ({ data }) => data.release === "v1");
  await deploy(d, "v4").live();
  assertEquals((await d.get()).text.trim(), "v4");
});
