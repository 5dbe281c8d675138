/**
 * What starts and stops when in a deploy: dependencies, tiers, singletons after the switch and never
 * two at once, services that stay and services that are handed over.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { deploy, rollback } from "../kit/deploying.ts";
import { Fifo } from "../kit/gate.ts";
import { freeRange } from "../kit/ports.ts";
import { program, webProcess } from "../kit/programs.ts";
import type { EventRecord } from "../../lib/telemetry/events.ts";

const worker = { command: program("worker.sh") };

/** Waits until the event is there and returns its place in the order of all events. */
async function place(d: Daemon, event: EventRecord["event"], data: Record<string, string>) {
  const found = await d.event(
    event,
    (one) => Object.entries(data).every(([name, value]) => one.data[name] === value),
  );
  return found.seq;
}

async function assertOrder(d: Daemon, ...events: Parameters<typeof place>[]) {
  const places = [];
  for (const [, event, data] of events) places.push(await place(d, event, data));
  const sorted = places.toSorted((a, b) => a - b);
  assertEquals(places, sorted, JSON.stringify(events.map(([, event, data]) => ({ event, data }))));
}

daemonTest("services start before companions, companions before the proxied, dependants last", {
  config: ({ dir }) => ({
    proxy: {},
    processes: {
      web: webProcess(),
      needy: { ...worker, depends_on: { api: "healthy", late: "started" } },
      late: worker,
      api: {
        policy: "companion",
        command: program("web.mjs", "--port", "{{port}}"),
        port: freeRange(4),
        health: { path: "/ping", interval: "20ms" },
        env: { WEB_START_GATE: `${dir}/gate` },
      },
      db: { ...worker, policy: "service" },
    },
  }),
}, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  const deploying = deploy(d, "v1");
  // Everything that waits for nobody runs before the one that is waited for is let go.
  await place(d, "process_started", { process: "late" });
  await place(d, "process_started", { process: "api" });
  gate.release();
  await deploying.live();
  await assertOrder(
    d,
    [d, "process_started", { process: "db" }],
    [d, "process_started", { process: "late" }],
    [d, "process_ready", { process: "api" }],
    [d, "process_started", { process: "needy" }],
    [d, "process_started", { process: "web" }],
    [d, "traffic_switched", { release: "v1" }],
  );
});

daemonTest("a singleton is replaced after the switch, and never runs twice", {
  config: ({ dir }) => ({
    proxy: {},
    processes: {
      web: webProcess(),
      cron: { policy: "singleton", command: program("once.sh", `${dir}/once`, `${dir}/gate`) },
    },
  }),
  files: { "once/history": "" },
}, async (d) => {
  await using gate = new Fifo(d.path("gate"));
  await deploy(d, "v1").live();
  const deploying = deploy(d, "v2");
  await deploying.step("singletons", "cron");
  // The old one takes its time: traffic is with the new release already, the new singleton waits.
  await d.statusUntil(
    "the old singleton to be told",
    ({ singletons }) => singletons[0].process.state === "stopping",
  );
  assertEquals((await d.get()).text.trim(), "v2");
  assertEquals(starts(d), ["start v1"]);
  gate.release();
  assertEquals((await deploying.live()).errors, []);
  gate.release();
  assertEquals((await rollback(d).live()).errors, []);
  await d.statusUntil("the singleton", ({ singletons }) => singletons[0].process.healthy);
  assertEquals(starts(d), [
    "start v1",
    "stop v1",
    "start v2",
    "stop v2",
    "start v1",
  ]);
  assertEquals(d.read("once/overlap"), undefined);
  const second = await place(d, "traffic_switched", { release: "v2" });
  const started = await place(d, "process_started", { process: "cron", release: "v2" });
  assert(second < started, "after the switch");
  // While the gate is there to let the last one go.
  gate.release();
  d.kill("SIGTERM");
  assertEquals((await d.ended()).code, 0);
});

/** What once.sh wrote, without pids; `v1~2` is v1 again. */
function starts(d: Daemon): string[] {
  return (d.read("once/history") ?? "").trim().split("\n").map((line) =>
    line.replace(/(~\d+)? \d+$/, "")
  );
}

daemonTest("a singleton that does not start: live with errors, exit 6, the old release drains", {
  config: {
    proxy: {},
    processes: {
      web: webProcess(),
      cron: {
        policy: "singleton",
        command: 'echo "no crontab" >&2; [ ! -e broken ] || exit 9; exec sleep 1000',
        restart: { delay: "50ms", max_delay: "100ms" },
      },
    },
  },
}, async (d) => {
  await deploy(d, "v1").live();
  const path = d.release("v2", {}, { broken: "" });
  const { code, stdout, stderr } = await d.cli(
    "deploy",
    ...["--release-path", path, "--release-id", "v2"],
  );
  assertEquals(code, 6, stderr);
  assertMatch(stdout, /^v2 is live/);
  assertMatch(stdout + stderr, /error: "cron" does not run: .*exited with code 9/);
  assertEquals((await d.get()).text.trim(), "v2");
  await d.event("release_stopped", ({ data }) => data.release === "v1");
  // It is retried under its policy until it works.
  await d.event("process_restart_scheduled", ({ data }) => data.process === "cron");
  Deno.removeSync(`${path}/broken`);
  await d.statusUntil("the singleton to run", ({ singletons }) => singletons[0].process.healthy);
});

daemonTest("a persistent service stays, a handoff service is replaced and the old one stops last", {
  config: {
    proxy: {},
    processes: {
      web: webProcess(),
      db: { ...worker, policy: "service" },
      broker: { ...worker, policy: "service", deploy_strategy: "handoff", port: freeRange(4) },
    },
  },
}, async (d) => {
  await deploy(d, "v1").live();
  const first = await d.status();
  await deploy(d, "v2", {}, { wait: true }).live();
  const second = await d.status();
  assertEquals(second.services.map(({ id }) => id), ["db"]);
  assertEquals(second.services[0].process.pid, first.services[0].process.pid);
  const broker = (status: typeof first) =>
    status.releases.at(-1)!.processes.find(({ process_id }) => process_id === "broker")!;
  assert(broker(first).pid !== broker(second).pid);
  await assertOrder(
    d,
    [d, "process_ready", { process: "broker", release: "v2" }],
    [d, "traffic_switched", { release: "v2" }],
    [d, "process_stopped", { process: "web", release: "v1" }],
    [d, "process_stopped", { process: "broker", release: "v1" }],
  );
  // The service is the old program; what it would start as is the new release's.
  const output = (await d.ok("logs", "--process", "db")).stdout;
  assertStringIncludes(output, "worker of v1 starts");
  await d.ok("restart", "--process", "db");
  await d.statusUntil("db", ({ services }) => services[0].process.healthy);
  assertStringIncludes((await d.ok("logs", "--process", "db")).stdout, "worker of v2 starts");
});

daemonTest("while the old release drains its companions run, but for those that need no drain", {
  config: {
    proxy: {},
    processes: {
      web: webProcess(),
      needed: worker,
      free: { ...worker, non_blocking_drain: true },
    },
  },
}, async (d) => {
  await deploy(d, "v1").live();
  const held = d.get(`/wait?flag=${d.path("flag")}`);
  await d.statusUntil("the request to be held", ({ leases }) => leases === 1);
  await deploy(d, "v2").live();
  await place(d, "process_stopped", { process: "free", release: "v1" });
  const old = (await d.status()).releases.find((one) => one.release_id === "v1")!;
  assertEquals(old.state, "draining");
  const states = old.processes.map(({ process_id, state }) => `${process_id} ${state}`);
  assertEquals(states, ["web running", "needed running", "free stopped"]);
  d.write("flag", "");
  assertEquals(await held, { status: 200, text: "v1\n" });
  await assertOrder(
    d,
    [d, "process_stopped", { process: "free", release: "v1" }],
    [d, "release_drained", { release: "v1" }],
    [d, "process_stopped", { process: "needed", release: "v1" }],
    [d, "release_stopped", { release: "v1" }],
  );
});
