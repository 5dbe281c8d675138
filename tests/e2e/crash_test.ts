/**
 * The daemon is killed in the middle of each step of a deploy and started again: the last release
 * that was live comes back by itself, nothing runs twice, nothing is left over, the state is whole.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { program, webProcess, type Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

/** One of every policy; two of them notice when they run twice. */
const config = (gated: boolean) => ({ dir }: { dir: string }) => ({
  proxy: { drain_timeout: "10m", force_stop_timeout: "30s" },
  processes: {
    web: webProcess(),
    worker: { command: program("worker.sh") },
    single: {
      policy: "singleton",
      command: program("once.sh", `${dir}/single`, ...(gated ? [`${dir}/gate`] : [])),
    },
    broker: { policy: "service", command: program("once.sh", `${dir}/broker`) },
  },
});

/** Begins a deploy that is not going to end. */
function beginDeploy(d: Daemon, name: string, web: Yaml = {}): void {
  const body = { release_path: d.release(name, web), release_id: name };
  d.post("/v1/deploy", body).then((response) => response.text()).catch(() => {
    // The daemon is killed meanwhile.
  });
}

/** How often an event was logged, over all lives of the daemon. */
function times(d: Daemon, event: string, text = ""): number {
  return d.output().split("\n").filter((line) =>
    line.includes(`"event":"${event}"`) && line.includes(text)
  ).length;
}

async function kill(d: Daemon): Promise<void> {
  d.kill("SIGKILL");
  await d.ended();
}

/** Waits until nothing is left of the daemon before, and sees that `release` is back, whole and alone. */
async function assertBack(d: Daemon, release: RegExp): Promise<void> {
  const status = await d.statusUntil(
    "the orphans to be gone",
    (status) => status.orphans.length === 0 && status,
  );
  assertMatch(status.active_release_id!, release);
  assertMatch((await d.get()).text.trim(), release);
  assertMatch(JSON.parse(d.read("state/state.json")!).live.release_id, release);
  for (const name of ["single", "broker"]) {
    assertEquals(d.read(`${name}/overlap`), undefined, `${name} ran twice`);
    const count = (what: RegExp) => d.read(`${name}/history`)!.match(what)?.length ?? 0;
    assertEquals(count(/^start/gm) - count(/^stop/gm), 1, `${name} runs once`);
  }
  assertEquals(programs(d), ["once", "once", "web", "worker"]);
}

/** The programs alive, by the name of their fixture. */
function programs(d: Daemon): string[] {
  return d.leftovers().map(({ command }) => /fixtures\/(\w+)\.(?:sh|mjs)/.exec(command)?.[1])
    .filter((name) => name !== undefined).sort();
}

/**
 * `body` begins a deploy of v2, kills the daemon in it and starts it again.
 * @param gated the singleton ends only when the gate lets it
 */
function crashTest(
  moment: string,
  body: (d: Daemon, gate: Fifo) => Promise<void>,
  gated = false,
): void {
  daemonTest(`killed ${moment}`, { config: config(gated), start: false }, async (d) => {
    await using gate = new Fifo(d.path("gate"));
    for (const name of ["single", "broker"]) Deno.mkdirSync(d.path(name));
    await d.start();
    await d.deploy("v1");
    await body(d, gate);
    gate.release(10);
    await d.deploy("v3");
    await assertBack(d, /^v3$/);
    // While the gate still lets everybody go.
    await d.ok("shutdown");
  });
}

crashTest("while a release is built", async (d, gate) => {
  beginDeploy(d, "v2", { start_gate: gate.path });
  await until("the web program", () => times(d, "process_started", '"web","release":"v2"') === 1);
  await kill(d);
  await d.start();
  await assertBack(d, /^v1$/);
});

crashTest("while a release is proved", async (d) => {
  beginDeploy(d, "v2", { health: 503 });
  await until("v2 to listen", () => d.read("state/log/web.log")?.includes("v2 listens"));
  await kill(d);
  await d.start();
  await assertBack(d, /^v1$/);
});

crashTest("right after the switch", async (d) => {
  beginDeploy(d, "v2");
  await until("the switch", () => times(d, "traffic_switched") === 2);
  await kill(d);
  await d.start();
  // Which of them depends on whether the state was written yet.
  await assertBack(d, /^v[12]$/);
});

crashTest("while a singleton is replaced", async (d, gate) => {
  beginDeploy(d, "v2");
  await d.event("process_stopping", ({ data }) => data.process === "single");
  await kill(d);
  d.launch();
  await until("v2 to be live again", () => times(d, "traffic_switched", '"v2"') === 2);
  assertEquals(d.read("single/history")!.match(/^start/gm)!.length, 1, "the old one still runs");
  gate.release();
  await until("readiness", () => times(d, "daemon_ready") === 2);
  await assertBack(d, /^v2$/);
}, true);

crashTest("while the old release drains", async (d) => {
  const held = d.get(`/wait?flag=${d.path("flag")}`).catch(() => {});
  await d.statusUntil("the request", (status) => status.leases === 1);
  await d.deploy("v2");
  await d.statusUntil("the drain", ({ releases }) => releases[0].state === "draining");
  await kill(d);
  await held;
  d.write("flag", "");
  await d.start();
  await assertBack(d, /^v2$/);
});

crashTest("while it restores, and again", async (d, gate) => {
  d.release("v1", { start_gate: gate.path });
  for (const life of [1, 2]) {
    await kill(d);
    d.launch();
    await until("the restoration", () => times(d, "process_started", '"web"') === life + 1);
  }
  await kill(d);
  d.release("v1");
  await d.start();
  await assertBack(d, /^v1$/);
});
