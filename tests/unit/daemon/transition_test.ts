/** From one configuration to the next, with and without a release: what takes effect how. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Config, ProcessConfig } from "../../../lib/config/config.ts";
import { Exit, Failure } from "../../../lib/core/failure.ts";
import { turn } from "../../kit/manual_clock.ts";
import { configOf, processOf, proxiedOf, proxyOf } from "../release/configs.ts";
import { Daemon } from "./kit.ts";

const ALL = [
  processOf("beacon", "service"),
  processOf("worker"),
  proxiedOf("web"),
  processOf("cron", "singleton"),
];

/** ALL with one process different. */
function changed(id: string, more: Partial<ProcessConfig>): Config {
  return configOf(ALL.map((process) => process.id === id ? { ...process, ...more } : process));
}

const address = (port: number) => proxyOf({ address: { host: "127.0.0.1", port } });

async function live(): Promise<Daemon> {
  const daemon = new Daemon(ALL);
  await daemon.deploy("v1", { wait: true });
  return daemon;
}

function reload(daemon: Daemon) {
  return daemon.pass(() => daemon.operations.reload());
}

/** Pids by id. */
function pids({ stage }: Daemon): Record<string, number> {
  return Object.fromEntries(
    stage.alive.map((child) => [child.spec.env.SUPERVISOR_PROCESS_ID, child.pid]),
  );
}

Deno.test("nothing changed: nothing happens", async () => {
  using daemon = await live();
  const before = pids(daemon);
  const result = await reload(daemon);
  assertEquals([result.changes, result.errors, "active_release_id" in result], [[], [], false]);
  assertEquals(pids(daemon), before);
  assertEquals(daemon.stage.world.events("config_reloaded"), []);
});

Deno.test("a bad file changes nothing, for reload, plan and deploy", async () => {
  using daemon = await live();
  const before = [pids(daemon), daemon.context.config];
  daemon.file = new Failure("processes.web.port is no port", { exit: Exit.config });
  for (const operation of ["reload", "plan"] as const) {
    await assertRejects(
      () => daemon.pass(() => daemon.operations[operation]()),
      Failure,
      "no port",
    );
  }
  await assertRejects(() => daemon.deploy("v2"), Failure, "no port");
  assertEquals([pids(daemon), daemon.context.config], before);
  assertEquals(daemon.stage.states, ["v1 active"]);
  assertEquals(daemon.stage.world.events("config_rejected"), [
    { error: "processes.web.port is no port", trigger: "reload" },
  ]);
});

Deno.test("what cannot change is refused, all of it named, and nothing else is applied", async () => {
  using daemon = await live();
  const before = daemon.context.config;
  const file = changed("web", { command: "other" });
  daemon.file = { ...file, application: "shop", state_dir: "/elsewhere" };
  const failure = await assertRejects(() => reload(daemon), Failure);
  assertEquals(failure.detail, { fields: ["application", "state_dir"] });
  assert(failure.message.startsWith("the configuration cannot be applied: application changed ("));
  await assertRejects(() => daemon.deploy("v2"), Failure, "cannot be applied");
  assertEquals(daemon.context.config, before);
  assertEquals(daemon.stage.states, ["v1 active"]);
});

Deno.test("plan tells what reload would do, and does nothing", async () => {
  using daemon = await live();
  const before = pids(daemon);
  daemon.file = changed("web", { command: "other", graceful_stop: 5 });
  const { changes } = await daemon.pass(() => daemon.operations.plan());
  assertEquals(changes.map(({ field, effect }) => [field, effect]), [
    ["processes.web.command", "generation"],
    ["processes.web.graceful_stop", "live"],
  ]);
  assertEquals([pids(daemon), daemon.difference.length], [before, 2]);
});

Deno.test("live settings reach what runs, without a restart", async () => {
  using daemon = await live();
  const before = pids(daemon);
  daemon.file = configOf(ALL.map((process) => ({ ...process, graceful_stop: 4_321 })));
  await reload(daemon);
  const { fleet } = daemon.stage;
  for (const slot of [...fleet.active!.slots, ...fleet.standing.slots]) {
    assertEquals(slot.process.spec.live.graceful_stop, 4_321, slot.id);
  }
  assertEquals([pids(daemon), daemon.difference], [before, []]);
  assertEquals(daemon.stage.world.events("config_reloaded")[0].changes[0].endsWith("(live)"), true);
  assertEquals(daemon.proxy.configured, daemon.file);
});

Deno.test("live settings reach what is being retired, and its drain", async () => {
  using daemon = await live();
  const { stage } = daemon;
  const lease = stage.intake.gate.lease()!;
  await daemon.deploy("v2");
  const draining = stage.fleet.find("v1");
  const before = draining.status().drain_left_ms!;
  daemon.file = configOf(
    ALL.map((process) => ({ ...process, graceful_stop: 4_321 })),
    { proxy: proxyOf({ drain_timeout: 90_000 }) },
  );
  await reload(daemon);
  assertEquals(draining.status().drain_left_ms! - before, 30_000);
  assertEquals(draining.slots[0].process.spec.live.graceful_stop, 4_321);
  lease.release();
});

Deno.test("another retention is applied at once", async () => {
  using daemon = await live();
  for (const id of ["v2", "v3"]) await daemon.deploy(id, { wait: true });
  daemon.file = configOf(ALL, { release_retention: { keep: 1, max_age: 0 } });
  await reload(daemon);
  assertEquals(daemon.stage.states, ["v2 stopped", "v3 active"]);
  assertEquals(daemon.stage.history.read().releases.length, 2);
});

const GENERATION: [string, Config][] = [
  ["a command", changed("web", { command: "run web --new" })],
  ["an environment", changed("worker", { env: { A: "b" } })],
  ["a number of copies", changed("worker", { replicas: 3 })],
  ["a removed process", configOf(ALL.filter(({ id }) => id !== "worker"))],
  ["an added process", configOf([...ALL, processOf("mailer")])],
  ["a process that now belongs to the daemon", changed("worker", { policy: "service" })],
  ["a process that now belongs to a release", changed("beacon", { policy: "companion" })],
  ["a singleton that now belongs to a release", changed("cron", { policy: "companion" })],
  [
    "a service that is now handed over",
    changed("beacon", { deploy_strategy: "handoff", port: { from: 9_000, to: 9_009 } }),
  ],
  ["where programs listen", configOf(ALL, { proxy: proxyOf({ upstream_host: "127.0.0.2" }) })],
];
for (const [what, file] of GENERATION) {
  Deno.test(`${what}: a new generation of the same release, every process as it says`, async () => {
    using daemon = await live();
    const { stage } = daemon;
    const before = pids(daemon);
    daemon.file = file;
    const result = await reload(daemon);
    await stage.pass(stage.clock.advance(1_000));
    assertEquals([result.errors, result.active_release_id], [[], "v1~2"]);
    assertEquals(stage.states, ["v1 stopped", "v1~2 active"]);
    assertEquals(stage.fleet.active!.record.lineage, "v1");
    assertEquals(stage.fleet.active!.release_path, stage.scratch.path("v1"));
    const ids = file.processes.flatMap(({ id, replicas }) => Array(replicas).fill(id));
    assertEquals(stage.running.map((name) => name.split(" ")[0]).sort(), ids.sort());
    if (
      file.processes.some((one) =>
        one.id === "beacon" && one.deploy_strategy !== "handoff" &&
        one.policy === "service"
      )
    ) assertEquals(pids(daemon).beacon, before.beacon);
    assertEquals(daemon.difference, []);
    const reserved = stage.alive.flatMap((child) => child.spec.env.SUPERVISOR_PORT ?? []);
    assertEquals(stage.reserved, reserved.map(Number).sort((a, b) => a - b));
  });
}

Deno.test("what changes its owner is told to others with its new port", async () => {
  const port = { from: 9_000, to: 9_009 };
  const web = proxiedOf("web", { command: "run {{ports.bus}}" });
  using daemon = new Daemon([processOf("bus", "service", { port }), web]);
  await daemon.deploy("v1", { wait: true });
  assertEquals(daemon.stage.program("web").spec.argv[2], "run 9000");
  daemon.file = configOf([processOf("bus", "companion", { port }), web]);
  await reload(daemon);
  assertEquals(daemon.stage.program("web", "v1~2").spec.argv[2], "run 9001");
  assertEquals(daemon.stage.program("bus", "v1~2").spec.env.SUPERVISOR_BUS_PORT, "9001");
});

Deno.test("the daemon's own processes are replaced alone", async () => {
  using daemon = await live();
  const before = pids(daemon);
  daemon.file = changed("beacon", { command: "run beacon --new" });
  const result = await reload(daemon);
  assertEquals([result.errors, "active_release_id" in result], [[], false]);
  const after = pids(daemon);
  assertEquals([after.web, after.worker, after.cron], [before.web, before.worker, before.cron]);
  assertEquals(daemon.stage.program("beacon").spec.argv[2], "run beacon --new");
  assertEquals(daemon.stage.states, ["v1 active"]);
});

Deno.test("one that is added, one that is removed", async () => {
  using daemon = await live();
  daemon.file = configOf([...ALL.filter(({ id }) => id !== "cron"), processOf("bus", "service")]);
  await reload(daemon);
  assertEquals(Object.keys(pids(daemon)).sort(), ["beacon", "bus", "web", "worker"]);
  assertEquals(daemon.stage.states, ["v1 active"]);
});

Deno.test("one of its own that does not start: applied, and named", async () => {
  using daemon = await live();
  daemon.stage.system.born = (child) => daemon.stage.clock.timer(20, () => child.exit(1));
  daemon.file = changed("cron", { command: "broken" });
  const result = await reload(daemon);
  assertEquals(result.errors.length, 1);
  assert(result.errors[0].startsWith('"cron" does not run'));
  assertEquals(daemon.difference, []);
});

Deno.test("one of its own whose new definition cannot be rendered keeps running as it was", async () => {
  using daemon = await live();
  const before = pids(daemon);
  daemon.file = changed("cron", { command: "run {{env.NOPE}}" });
  const result = await reload(daemon);
  assert(result.errors[0].includes("{{env.NOPE}}"));
  assertEquals(pids(daemon), before);
});

Deno.test("after a stop the daemon's own processes still follow the file", async () => {
  using daemon = await live();
  await daemon.pass(() => daemon.operations.stop({}));
  daemon.file = configOf([
    processOf("beacon", "service", { command: "run beacon --new" }),
    processOf("cron", "companion"),
  ]);
  const result = await reload(daemon);
  assertEquals([result.errors, Object.keys(pids(daemon))], [[], ["beacon"]]);
  assertEquals(daemon.stage.program("beacon").spec.argv[2], "run beacon --new");
});

Deno.test("without a release a reload is only remembered", async () => {
  using daemon = new Daemon(ALL);
  daemon.file = changed("web", { command: "run web --new" });
  await reload(daemon);
  assertEquals([daemon.stage.running, daemon.difference], [[], []]);
  await daemon.deploy("v1");
  assertEquals(daemon.stage.program("web").spec.argv[2], "run web --new");
});

Deno.test("an address is bound first, and taken with the swap", async () => {
  using daemon = await live();
  daemon.file = { ...changed("web", { command: "new" }), proxy: address(9_999) };
  const reloading = daemon.operations.reload();
  await turn();
  assertEquals(daemon.proxy.log, ["bound 127.0.0.1:9999"]);
  assertEquals(daemon.context.config.proxy!.address.port, 0);
  await daemon.pass(() => reloading);
  assertEquals(daemon.proxy.log, ["bound 127.0.0.1:9999", "took 127.0.0.1:9999"]);
});

Deno.test("an address alone needs no new generation", async () => {
  using daemon = await live();
  const before = pids(daemon);
  daemon.file = configOf(ALL, { proxy: address(9_999) });
  await reload(daemon);
  assertEquals(daemon.proxy.log, ["bound 127.0.0.1:9999", "took 127.0.0.1:9999"]);
  assertEquals(pids(daemon), before);
});

Deno.test("an address that cannot be bound: nothing changes", async () => {
  using daemon = await live();
  const before = [pids(daemon), daemon.context.config];
  daemon.proxy.refuses = "the address is in use";
  daemon.file = { ...changed("web", { command: "new" }), proxy: address(9_999) };
  await assertRejects(() => reload(daemon), Failure, "the address is in use");
  await assertRejects(() => daemon.deploy("v2"), Failure, "the address is in use");
  assertEquals([pids(daemon), daemon.context.config], before);
});

Deno.test("a generation that does not come up: the address is let go, nothing changes", async () => {
  using daemon = await live();
  const { stage } = daemon;
  const before = [pids(daemon), daemon.context.config, stage.reserved, stage.states];
  stage.system.born = (child) => stage.clock.timer(20, () => child.exit(1));
  daemon.file = { ...changed("web", { command: "new" }), proxy: address(9_999) };
  await assertRejects(() => reload(daemon), Failure, "did not start");
  assertEquals([pids(daemon), daemon.context.config, stage.reserved, stage.states], before);
  assertEquals(daemon.proxy.log, ["bound 127.0.0.1:9999", "let go 127.0.0.1:9999"]);
});

Deno.test("a deploy applies the file as it is then", async () => {
  using daemon = await live();
  daemon.file = configOf([
    processOf("beacon", "service", { command: "run beacon --new" }),
    processOf("worker"),
    proxiedOf("web", { command: "run web --new" }),
  ]);
  const result = await daemon.deploy("v2", { wait: true });
  assertEquals([result.status, result.errors], ["success", []]);
  assertEquals(daemon.stage.program("web").spec.argv[2], "run web --new");
  assertEquals(daemon.stage.program("beacon").spec.argv[2], "run beacon --new");
  assertEquals(Object.keys(pids(daemon)).sort(), ["beacon", "web", "worker"]);
});

Deno.test("a deploy that fails leaves the configuration as it was", async () => {
  using daemon = await live();
  const { stage } = daemon;
  const before = daemon.context.config;
  stage.intake.onBuild = () => Promise.reject(new Failure("no"));
  daemon.file = configOf(ALL.map((process) => ({ ...process, graceful_stop: 4_321 })));
  await assertRejects(() => daemon.deploy("v2"), Failure, "no");
  assertEquals([daemon.context.config, stage.fleet.config], [before, before]);
  assertEquals(stage.fleet.active!.slots[0].process.spec.live.graceful_stop, 1_000);
});

Deno.test("warnings of the file are told when it is applied", async () => {
  using daemon = await live();
  daemon.file = configOf(ALL, { warnings: ["the port is narrow"] });
  assertEquals((await reload(daemon)).warnings, ["the port is narrow"]);
  assertEquals(daemon.stage.world.events("config_warning"), [{ message: "the port is narrow" }]);
});

Deno.test("a count set by hand is forgotten with the process or its configured count", async () => {
  using daemon = await live();
  const scale = (count: number) =>
    daemon.pass(() => daemon.operations.scale({ name: "worker", count }));
  await scale(3);
  daemon.file = changed("worker", { replicas: 2 });
  await reload(daemon);
  assertEquals(daemon.stage.fleet.active!.copies("worker").length, 2);
  assertEquals(daemon.stage.history.read().scale, {});
  await scale(4);
  daemon.file = configOf(ALL.filter(({ id }) => id !== "worker"));
  await reload(daemon);
  daemon.file = changed("worker", { replicas: 2 });
  await reload(daemon);
  assertEquals(daemon.stage.fleet.active!.copies("worker").length, 2);
});
