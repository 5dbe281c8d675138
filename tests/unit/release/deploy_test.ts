/** Deploys on a fake system: what is left when a step fails, and that nothing is done twice. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Config, ProcessConfig } from "../../../lib/config/config.ts";
import * as defaults from "../../../lib/config/defaults.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { Order } from "../../../lib/release/order.ts";
import { turn } from "../../kit/manual_clock.ts";
import { configOf, processOf, proxiedOf } from "./configs.ts";
import { nameOf, Stage } from "./stage.ts";

const ALL = [
  processOf("beacon", "service", { port: { from: 9_000, to: 9_000 } }),
  processOf("worker", "companion", { port: { from: 0, to: 0 } }),
  proxiedOf("web", { replicas: 2 }),
  processOf("cron", "singleton", { port: { from: 9_100, to: 9_100 } }),
];

/** Everything that a failed deploy must leave as it was. */
function picture(stage: Stage) {
  return {
    running: stage.running,
    pids: stage.alive.map((child) => child.pid),
    reserved: stage.reserved,
    booked: stage.booked,
    states: stage.states,
    live: [stage.intake.gate.live, stage.other.gate.live],
    services: stage.fleet.standing.slots.map((slot) => slot.id),
    config: stage.fleet.config,
    history: stage.history.read(),
  };
}

/** Lets every program of `id` of `release` end soon after it was born. */
function breaks(stage: Stage, id: string, release: string): void {
  stage.system.born = (child) => {
    if (nameOf(child) === `${id} of ${release}`) stage.clock.timer(20, () => child.exit(1));
  };
}

Deno.test("a first deploy starts everything and goes live", async () => {
  using stage = new Stage(ALL);
  const { result } = await stage.deploy("v1");
  assertEquals(stage.running, [
    "beacon of v1",
    "worker of v1",
    "web of v1",
    "web of v1",
    "cron of v1",
  ]);
  assertEquals(stage.intake.gate.live?.release, "v1");
  assertEquals(stage.other.gate.live?.release, "v1");
  assertEquals([result.status, result.previous_release_id, result.errors], ["success", null, []]);
  assertEquals(stage.booked, stage.alive.map((child) => child.pid));
  assertEquals(stage.reserved, [9_000, 9_100, 20_000, 20_001, 40_000]);
});

Deno.test("the next one takes over, the old one drains and stops, services stay", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  const lease = stage.intake.gate.lease()!;
  const { result, retired } = await stage.deploy("v2");
  assertEquals(result.previous_release_id, "v1");
  assertEquals(stage.states, ["v1 draining", "v2 active"]);
  assert(lease.draining);
  lease.release();
  await stage.pass(retired);
  assertEquals(stage.running, [
    "beacon of v1",
    "worker of v2",
    "web of v2",
    "web of v2",
    "cron of v2",
  ]);
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
  assertEquals(stage.intake.built.map((one) => one.dropped), [true, false]);
  assertEquals(stage.booked, stage.alive.map((child) => child.pid));
  assertEquals(stage.reserved, [9_000, 9_100, 20_002, 20_003, 40_001]);
});

Deno.test("the deploy is saved before the singletons are replaced", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  stage.program("cron").deaf.add("SIGTERM");
  const deployed = stage.order("v2");
  await stage.clock.advance(100);
  assertEquals(stage.fleet.active?.release_id, "v2");
  assertEquals(stage.running.includes("cron of v1"), true);
  assertEquals(stage.history.read().live?.release_id, "v2");
  await stage.pass(deployed);
});

Deno.test("everything is told in order", async () => {
  using stage = new Stage([processOf("worker"), proxiedOf("web"), processOf("cron", "singleton")]);
  await stage.settled("v1");
  stage.steps.length = 0;
  await stage.settled("v2");
  assertEquals(stage.steps, [
    `started: release v2 from ${stage.scratch.path("v2")}`,
    "building: starting worker",
    "building: starting web",
    "proving: worker is up (0.1 s)",
    "proving: web is up on port 20001 (0.1 s)",
    "live: v2 is live in 0.1 s",
    "draining: v1 finishes what it holds",
    "singletons: replacing cron",
    "drained: v1 is stopped",
  ]);
});

Deno.test("services are known to all, and all to the services, before anything starts", async () => {
  const ports = (text: string) => ({ command: `run ${text}` });
  const all = "{{ports.a}} {{ports.b}} {{ports.web}} {{ports.cron}}";
  using stage = new Stage([
    processOf("a", "service", { port: { from: 9_000, to: 9_001 }, ...ports(all) }),
    processOf("b", "service", { port: { from: 9_000, to: 9_001 }, ...ports(all) }),
    proxiedOf("web", ports(all)),
    processOf("cron", "singleton", { port: { from: 9_100, to: 9_199 }, ...ports(all) }),
  ]);
  await stage.settled("v1");
  for (const child of stage.alive) {
    assertEquals(child.spec.argv[2], "run 9000 9001 20000 9100", nameOf(child));
    assertEquals(child.spec.env.SUPERVISOR_CRON_PORT, "9100");
  }
  await stage.settled("v2");
  assertEquals(stage.program("web").spec.argv[2], "run 9000 9001 20001 9100");
  assertEquals(stage.program("cron").spec.argv[2], "run 9000 9001 20001 9100");
});

Deno.test("a service that has to start again does so from the release that is live", async () => {
  using stage = new Stage([processOf("beacon", "service"), proxiedOf("web")]);
  await stage.settled("v1");
  await stage.settled("v2");
  const slot = stage.fleet.standing.find("beacon")!;
  assertEquals(slot.snapshot().cwd, stage.scratch.path("v1"));
  stage.program("beacon").exit(1);
  await stage.clock.advance(2_000);
  assertEquals(stage.program("beacon").spec.cwd, stage.scratch.path("v2"));
  assertEquals(stage.program("beacon").spec.env.SUPERVISOR_RELEASE_ID, "v2");
});

Deno.test("the same id while it lives makes another generation beside it", async () => {
  using stage = new Stage(ALL);
  await stage.deploy("v1");
  const { result } = await stage.deploy("v1");
  assertEquals([result.active_release_id, result.previous_release_id], ["v1~2", "v1"]);
});

Deno.test("what is not configured any more is stopped after the switch", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  await stage.settled("v2", { config: configOf(ALL.filter(({ id }) => id === "web")) });
  assertEquals(stage.running, ["web of v2", "web of v2"]);
  assertEquals(stage.reserved, [20_002, 20_003]);
});

Deno.test("a service that a reload adds is started once", async () => {
  using stage = new Stage([proxiedOf("web")]);
  await stage.settled("v1");
  const config = configOf([proxiedOf("web"), processOf("beacon", "service")]);
  await stage.settled("v1", { kind: "reload", config, replace: new Set(["beacon"]) });
  const beacons = stage.system.programs.filter((child) => nameOf(child).startsWith("beacon"));
  assertEquals(beacons.length, 1);
});

Deno.test("a service that a reload changed is replaced: the old one gone, then the new one", async () => {
  using stage = new Stage([processOf("beacon", "service", { port: { from: 9_000, to: 9_000 } })]);
  await stage.settled("v1");
  const old = stage.program("beacon");
  old.deaf.add("SIGTERM");
  const changed = processOf("beacon", "service", {
    port: { from: 9_000, to: 9_000 },
    command: "run beacon --new",
  });
  const born: boolean[] = [];
  stage.system.born = () => born.push(old.alive);
  const replace = new Set(["beacon"]);
  await stage.settled("v1", { kind: "reload", config: configOf([changed]), replace });
  assertEquals(born, [false]);
  assertEquals(stage.program("beacon").spec.argv[2], "run beacon --new");
  assertEquals(stage.reserved, [9_000]);
});

Deno.test("singletons are replaced in the order of what they depend on", async () => {
  using stage = new Stage([
    processOf("c", "singleton", { depends_on: { a: "started" } }),
    processOf("a", "singleton"),
    processOf("b", "singleton", { depends_on: { c: "started" } }),
  ]);
  await stage.deploy("v1");
  assertEquals(stage.running, ["a of v1", "c of v1", "b of v1"]);
});

// Failures before the swap: each must leave everything as it was.

/** Deploys v2 over v1 in vain. @returns the failure */
async function inVain(
  stage: Stage,
  arrange: (stage: Stage) => Partial<Order> | void,
  settle: (deployed: Promise<unknown>, stage: Stage) => Promise<unknown> = (deployed) => deployed,
): Promise<Failure> {
  await stage.settled("v1");
  const before = picture(stage);
  const order = arrange(stage) ?? {};
  const deployed = stage.order("v2", order);
  const failure = await assertRejects(
    () => stage.pass(settle(deployed, stage).then(() => deployed)),
    Failure,
  );
  assertEquals(picture(stage), before);
  assertEquals(stage.world.events("traffic_switched").length, 1);
  const failed = stage.world.events("deploy_failed");
  assertEquals(failed.map((one) => [one.release, one.error]), [["v2", failure.message]]);
  // And the way is free for the next one.
  stage.system.born = () => {};
  stage.system.mayspawn = () => {};
  stage.intake.onBuild = stage.other.onBuild = () => {};
  stage.strangers.clear();
  await stage.settled("v2");
  assertEquals(stage.states.at(-1), "v2 active");
  assertEquals(new Set(stage.booked), new Set(stage.alive.map((child) => child.pid)));
  return failure;
}

function without(id: string, more: Partial<ProcessConfig>): Config {
  return configOf(ALL.map((process) => process.id === id ? { ...process, ...more } : process));
}

const WITH_MORE = configOf([
  processOf("early", "service"),
  ...ALL,
  processOf("late", "service", { port: { from: 9_200, to: 9_200 } }),
]);

const BROKEN: [string, (stage: Stage) => Partial<Order> | void, string][] = [
  [
    "a template of a release's process has no value",
    () => ({ config: without("web", { command: "run {{env.NOPE}}" }) }),
    'cannot start "web": {{env.NOPE}} in processes.web.command has no value',
  ],
  [
    "a template of a singleton has no value",
    () => ({ config: without("cron", { command: "run {{env.NOPE}}" }) }),
    'cannot start "cron": {{env.NOPE}} in processes.cron.command has no value',
  ],
  [
    "the fixed port of a companion is held by the release before",
    (stage) => {
      const worker = { port: { from: 40_000, to: 40_000 } };
      assertEquals(stage.reserved.includes(40_000), true);
      return { config: without("worker", worker) };
    },
    'port 40000 of "worker of v2" is still held by worker of v1',
  ],
  [
    "no port of the range is left",
    (stage) => {
      for (let port = 20_002; port <= 20_098; port++) stage.strangers.add(port);
    },
    "no port of 20000-20099 (100 ports) is free on 127.0.0.1 " +
    'for "web#1 of v2": 3 reserved by running releases, 97 in use by other programs',
  ],
  [
    "a companion cannot be spawned",
    (stage) => {
      stage.system.mayspawn = (spec) => {
        if (spec.env.SUPERVISOR_PROCESS_ID === "worker") throw new Failure("no such program");
      };
    },
    'process "worker" did not start: no such program',
  ],
  [
    "a companion ends at once",
    (stage) => breaks(stage, "worker", "v2"),
    'process "worker" did not start: it exited with code 1 after 20ms',
  ],
  [
    "a proxied process ends at once",
    (stage) => breaks(stage, "web", "v2"),
    'process "web#0" did not start: it exited with code 1 after 20ms',
  ],
  [
    "the second of two new services cannot have its port",
    (stage) => {
      stage.strangers.add(9_200);
      return { config: WITH_MORE };
    },
    'port 9200 of "late of v2" is in use by another program',
  ],
  [
    "a new service ends at once",
    (stage) => {
      breaks(stage, "late", "v2");
      return { config: WITH_MORE };
    },
    'process "late" did not start: it exited with code 1 after 20ms',
  ],
  [
    "an intake cannot build",
    (stage) => {
      stage.other.onBuild = () => Promise.reject(new Failure("no worker came up"));
    },
    "no worker came up",
  ],
  [
    "an intake throws something that is no failure",
    (stage) => {
      stage.other.onBuild = () => {
        throw new TypeError("x is undefined");
      };
    },
    'release "v2" could not be started: x is undefined',
  ],
  [
    "a companion ends after it was proven, while another is being proven",
    (stage) => {
      stage.other.onBuild = async () => {
        await turn();
        stage.clock.timer(150, () => stage.program("worker", "v2").exit(3));
        await new Promise<void>((resolve) => stage.clock.timer(200, resolve));
      };
    },
    '"worker" did not stay up: exited with code 3 after 150ms',
  ],
];
for (const [what, arrange, message] of BROKEN) {
  Deno.test(`${what}: the old release serves on, and nothing of the new one is left`, async () => {
    using stage = new Stage(ALL);
    const failure = await inVain(stage, arrange);
    assertEquals(failure.message, message);
    for (const { release, dropped } of stage.intake.built.slice(1, -1)) {
      assertEquals([release, dropped], ["v2", true]);
    }
  });
}

Deno.test("a failed start tells the program's last words", async () => {
  using stage = new Stage(ALL);
  const failure = await inVain(stage, (stage) => {
    stage.system.born = (child) => {
      if (nameOf(child) !== "worker of v2") return;
      stage.world.output.say("cannot connect to the database");
      queueMicrotask(() => child.exit(1));
    };
  });
  assertEquals(failure.detail?.stderr, ["cannot connect to the database"]);
});

Deno.test("one start that fails ends the waiting for the others at once", async () => {
  using stage = new Stage([
    processOf("worker"),
    proxiedOf("web", { health: { kind: "http", ...defaults.HEALTH, start_delay: 600_000 } }),
  ]);
  stage.system.born = (child) => {
    if (nameOf(child) === "worker of v1") stage.clock.timer(50, () => child.exit(1));
  };
  await assertRejects(() => stage.deploy("v1"), Failure, 'process "worker" did not start');
  assert(stage.clock.now() < 10_000, `after ${stage.clock.now()} ms`);
  assertEquals([stage.running, stage.reserved, stage.booked], [[], [], []]);
});

Deno.test("one start that fails ends the building of the intakes, too", async () => {
  using stage = new Stage(ALL);
  breaks(stage, "worker", "v1");
  stage.other.onBuild = (signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  await assertRejects(() => stage.deploy("v1"), Failure, 'process "worker" did not start');
  assertEquals(stage.intake.built.map((one) => one.dropped), [true]);
});

Deno.test("ports that were planned for later are given back by a failure", async () => {
  using stage = new Stage(ALL);
  breaks(stage, "worker", "v1");
  await assertRejects(() => stage.deploy("v1"), Failure);
  assertEquals([stage.running, stage.reserved, stage.fleet.standing.slots], [[], [], []]);
});

Deno.test("the daemon's end during a start takes everything back", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const before = picture(stage);
  const deployed = stage.order("v2");
  await stage.clock.advance(50);
  stage.end.abort(new Failure("the daemon is shutting down"));
  await assertRejects(() => stage.pass(deployed), Failure, "the daemon is shutting down");
  assertEquals(picture(stage), before);
});

Deno.test("the daemon's end while an intake builds takes everything back", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const before = picture(stage);
  stage.other.onBuild = (signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const deployed = stage.order("v2");
  await stage.clock.advance(5_000);
  assertEquals(stage.running.filter((name) => name.endsWith("v2")).length, 3);
  stage.end.abort(new Failure("the daemon is shutting down"));
  await assertRejects(() => stage.pass(deployed), Failure, "the daemon is shutting down");
  assertEquals(picture(stage), before);
});

Deno.test("a release path that is none fails before anything else", async () => {
  using stage = new Stage(ALL);
  const path = stage.scratch.path("nowhere");
  const file = stage.scratch.write("file", "");
  const failed = async (release_path: string) =>
    (await assertRejects(() => stage.deploy("v1", { release_path }), Failure)).message;
  assertEquals(await failed(path), `the release path "${path}" does not exist`);
  assertEquals(await failed(file), `the release path "${file}" is not a directory`);
  assertEquals([stage.states, stage.world.told], [[], []]);
});

Deno.test("a symbolic link to a release is followed once and for all", async () => {
  using stage = new Stage(ALL);
  Deno.symlinkSync(stage.release("v1"), stage.scratch.path("current"));
  const { result } = await stage.deploy("x", { release_path: stage.scratch.path("current") });
  assertEquals(result.release_path, stage.scratch.path("v1"));
  assertEquals(stage.program("web").spec.env.SUPERVISOR_RELEASE_PATH, stage.scratch.path("v1"));
});

// A port that a stranger took between the probe and the program's own bind.

/** Programs that find a stranger on one of `ports` end, as they do with EADDRINUSE. */
function strangersOn(stage: Stage, ports: Set<number>): void {
  const address = "127.0.0.1";
  stage.system.born = (child) => {
    const port = Number(child.spec.env.SUPERVISOR_PORT);
    if (!ports.has(port)) return;
    stage.strangers.add(port);
    stage.system.listening.set(port, [{ address, pids: [7] }]);
    queueMicrotask(() => child.exit(98));
  };
}

Deno.test("a port that a stranger took is passed over, everything starts anew", async () => {
  using stage = new Stage([processOf("beacon", "service"), proxiedOf("web")]);
  strangersOn(stage, new Set([20_000, 20_001]));
  await stage.deploy("v1");
  assertEquals(stage.fleet.active?.ports, new Map([["web", 20_002]]));
  assertEquals(stage.world.events("port_retry").map(({ port, attempt }) => [port, attempt]), [
    [20_000, 1],
    [20_001, 2],
  ]);
  assertEquals([stage.running, stage.reserved], [["beacon of v1", "web of v1"], [20_002]]);
});

Deno.test("three tries are enough", async () => {
  using stage = new Stage([processOf("beacon", "service"), proxiedOf("web")]);
  strangersOn(stage, new Set([20_000, 20_001, 20_002]));
  const failure = await assertRejects(() => stage.deploy("v1"), Failure);
  assertEquals(failure.detail?.port_taken, true);
  assertEquals([stage.running, stage.reserved, stage.states, stage.booked], [[], [], [], []]);
});

// Failures after the swap: the release is live, and says what is wrong.

Deno.test("a singleton that does not start: live with errors, and tried again", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  breaks(stage, "cron", "v2");
  const { result, retired } = await stage.deploy("v2");
  assertEquals(result.status, "partial");
  assertEquals(result.errors, [
    '"cron" does not run: process "cron" did not start: it exited with code 1 after 20ms',
  ]);
  await stage.pass(retired);
  assertEquals(stage.states, ["v1 stopped", "v2 active"]);
  assertEquals(stage.running.some((name) => name.startsWith("cron")), false);
  stage.system.born = () => {};
  await stage.clock.advance(60_000);
  assertEquals(stage.program("cron").spec.env.SUPERVISOR_RELEASE_ID, "v2");
});

Deno.test("a stranger on the only port of a singleton does not end its tries", async () => {
  using stage = new Stage(ALL);
  strangersOn(stage, new Set([9_100]));
  const { result } = await stage.deploy("v1");
  assertEquals(result.status, "partial");
  assertEquals(stage.reserved.includes(9_100), true);
  stage.system.born = () => {};
  await stage.clock.advance(60_000);
  assertEquals(stage.program("cron").spec.env.SUPERVISOR_PORT, "9100");
});

Deno.test("a singleton whose predecessor cannot be killed is not started beside it", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const old = stage.program("cron");
  old.deaf.add("SIGTERM");
  old.immortal.add(old.pid);
  const { result } = await stage.deploy("v2");
  assertEquals(result.status, "partial");
  assertEquals(result.errors[0].startsWith('"cron" does not run: "cron" is not replaced'), true);
  assertEquals(stage.running.filter((name) => name.startsWith("cron")), ["cron of v1"]);
  assertEquals(stage.booked.includes(old.pid), true);
});

Deno.test("a history that cannot be written: live with an error that says what that means", async () => {
  using stage = new Stage([processOf("worker")]);
  stage.history.broken = true;
  const { result } = await stage.deploy("v1");
  assertEquals(result.status, "partial");
  assertEquals(result.errors, [
    "cannot write: no space left on device; " +
    "a restart of the daemon would bring back the release before",
  ]);
  assertEquals(stage.intake.gate.live?.release, "v1");
});

Deno.test("the daemon's end after the swap leaves the singletons to it", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const deployed = stage.order("v2");
  stage.intake.onBuild = () => {};
  await stage.clock.advance(99);
  stage.clock.timer(1, () => queueMicrotask(() => stage.end.abort(new Failure("the end"))));
  const { result } = await stage.pass(deployed);
  assertEquals(result.status, "partial");
  assertEquals(result.errors[0].startsWith('"cron" does not run'), true);
});

// What a dead daemon left.

Deno.test("orphans that must not run twice are gone before their successor starts", async () => {
  using stage = new Stage(ALL);
  await stage.settled("v1");
  const next = new Stage(ALL, stage);
  const orphans = [...next.alive];
  assertEquals(next.ground.orphans.list().length, 5);
  next.system.born = (child) => {
    const id = child.spec.env.SUPERVISOR_PROCESS_ID;
    const twin = orphans.find((one) => one.spec.env.SUPERVISOR_PROCESS_ID === id);
    if (id === "beacon" || id === "cron") assertEquals(twin?.alive, false, id);
  };
  await next.deploy("v1", { kind: "restore" });
  assertEquals(next.ground.orphans.list().map((one) => one.id), ["worker", "web#0", "web#1"]);
  assertEquals(next.fleet.active?.ports.get("web"), 20_002);
});
