/** Deploys that fail, at every step: the old release serves on, and nothing of the new one is left. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Config, ProcessConfig } from "../../../lib/config/config.ts";
import * as defaults from "../../../lib/config/defaults.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { Order } from "../../../lib/release/order.ts";
import { turn } from "../../kit/manual_clock.ts";
import { configOf, processOf, proxiedOf } from "./configs.ts";
import { ALL, breaks, strangersOn } from "./deploys.ts";
import { nameOf, Stage } from "./stage.ts";

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
    '"worker" did not stay up: exited with code 3 after 250ms',
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

Deno.test("intakes are not built when a program does not start", async () => {
  using stage = new Stage(ALL);
  breaks(stage, "worker", "v1");
  await assertRejects(() => stage.deploy("v1"), Failure, 'process "worker" did not start');
  assertEquals([stage.intake.built, stage.other.built], [[], []]);
});

Deno.test("one intake that fails ends the building of the others", async () => {
  using stage = new Stage(ALL);
  stage.intake.onBuild = () => Promise.reject(new Failure("no worker came up"));
  stage.other.onBuild = (signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  await assertRejects(() => stage.deploy("v1"), Failure, "no worker came up");
  assertEquals([stage.running, stage.reserved], [[], []]);
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
