/**
 * Signals to the daemon: what ends it and how fast, what it takes on, what it merely survives.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { program, webProcess } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

/** Budgets that never end within a test: what ends before was told to. */
const PATIENT = { drain_timeout: "10m", force_stop_timeout: "10m" };

const WEB = { config: { proxy: PATIENT, processes: { web: webProcess() } } };

/** A request that is being answered until the file `flag` exists. */
async function inFlight(d: Daemon): Promise<{ answer: Promise<string>; finish(): void }> {
  const answer = d.get(`/wait?flag=${d.path("flag")}`).then(
    ({ status, text }) => `${status} ${text.trim()}`,
    () => "cut",
  );
  await d.statusUntil("the request to be under way", (status) => status.leases === 1);
  return { answer, finish: () => void d.write("flag", "") };
}

/** What the log says of signals and their effects. */
function signalsSeen(d: Daemon): string[] {
  return d.output().split("\n").filter((line) => line.includes('"signal_received"'))
    .map((line) => JSON.parse(line).data).map(({ signal, effect }) => `${signal}: ${effect}`);
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  daemonTest(`${signal} lets the request in flight finish, then ends with 0`, WEB, async (d) => {
    await d.deploy("v1");
    const { answer, finish } = await inFlight(d);
    d.kill(signal);
    await until("the drain", () => d.output().includes("daemon_stopping"));
    await until("new requests to be refused", () => d.get().then(() => false, () => true));
    assert(d.running, "it waits for the request");
    finish();
    assertEquals(await answer, "200 v1");
    assertEquals(await d.ended(), { code: 0, signal: null });
    assertEquals(d.leftovers(), []);
    for (const path of ["run/pid", "run/control.sock"]) assertEquals(d.read(path), undefined);
    assertEquals(signalsSeen(d), [`${signal}: drain and stop`]);
  });
}

daemonTest("a second signal shortens every budget to force_stop_timeout", {
  config: {
    proxy: { ...PATIENT, force_stop_timeout: "200ms" },
    processes: {
      web: webProcess({ graceful_stop: "10m" }),
      deaf: { command: program("ignore_term.sh"), graceful_stop: "indefinite" },
    },
  },
}, async (d) => {
  await d.deploy("v1");
  const { answer } = await inFlight(d);
  d.kill("SIGTERM");
  await until("the drain", () => d.output().includes("daemon_stopping"));
  d.kill("SIGINT");
  assertEquals(await answer, "cut");
  assertEquals(await d.ended(), { code: 0, signal: null });
  assertEquals(d.leftovers(), []);
  assertEquals(signalsSeen(d), ["SIGTERM: drain and stop", "SIGINT: shorten every budget"]);
});

daemonTest("a third signal kills everything at once", {
  config: {
    proxy: PATIENT,
    processes: {
      web: webProcess({ graceful_stop: "10m" }),
      deaf: { command: program("ignore_term.sh"), graceful_stop: "indefinite" },
      family: { command: program("family.sh"), lifecycle: { stop_command: "sleep 1000" } },
    },
  },
}, async (d) => {
  await d.deploy("v1");
  const { answer } = await inFlight(d);
  for (const times of [1, 2, 3]) {
    d.kill("SIGTERM");
    await until("it to be heard", () => signalsSeen(d).length === times);
  }
  assertEquals(await answer, "cut");
  assertEquals(await d.ended(), { code: 0, signal: null });
  assertEquals(d.leftovers(), []);
  assertEquals(signalsSeen(d).at(-1), "SIGTERM: kill everything now");
});

daemonTest("SIGHUP takes on a good configuration; a bad one changes nothing and is told", {
  config: { proxy: {}, processes: { web: webProcess({ env: { WORD: "one" } }) } },
}, async (d) => {
  await d.deploy("v1");
  const pids = () =>
    d.status().then((s) => s.releases.flatMap((r) => r.processes.map((p) => p.pid)));
  const before = await pids();
  const good = d.read("supervisor.yaml")!;
  d.write("supervisor.yaml", good.replace("policy: proxied", "polcy: proxied"));
  d.kill("SIGHUP");
  const { data } = await d.event("config_rejected");
  assertEquals(data.trigger, "SIGHUP");
  assertStringIncludes(String(data.error), "polcy");
  assertEquals(await pids(), before);
  assertEquals((await d.get()).text.trim(), "v1");

  d.write("supervisor.yaml", good.replace("WORD: one", "WORD: two"));
  d.kill("SIGHUP");
  const { data: { changes } } = await d.event("config_reloaded");
  assertEquals(changes, ["processes.web.env.WORD (generation)"]);
  assertEquals(JSON.parse((await d.get("/environment")).text).env.WORD, "two");
});

daemonTest("SIGUSR1 opens the daemon's log and those of the processes anew", {
  config: {},
  start: false,
}, async (d) => {
  await using fifo = new Fifo(d.path("say"));
  d.configure({ processes: { worker: { command: ["sh", "-c", LOOP, fifo.path] } } });
  await d.start("--log-file", "daemon.log");
  await d.deploy("v1");
  const log = "state/log/worker.log";
  fifo.release();
  await until("the first line in the log", () => d.read(log)?.includes("go"));
  for (const name of [log, "daemon.log"]) Deno.renameSync(d.path(name), d.path(`${name}.1`));
  d.kill("SIGUSR1");
  await until("the daemon's new log", () => d.read("daemon.log")?.includes("log_reopened"));
  fifo.release();
  await until("the line in the new log", () => d.read(log)?.includes("go"));
  assertEquals(d.read(`${log}.1`)!.match(/go/g)?.length, 1);
  assertStringIncludes(d.read("daemon.log.1")!, "daemon_ready");
  assert(!d.read("daemon.log")!.includes("daemon_ready"));
  for (const name of [log, "daemon.log"]) {
    assertEquals(Deno.statSync(d.path(name)).mode! & 0o777, 0o600, name);
  }
});

/** Says every line that comes through the FIFO $0. */
const LOOP = 'while read -r line <"$0"; do echo "$line"; done';

daemonTest(
  "SIGUSR2 and SIGQUIT are logged and change nothing; neither does SIGPIPE",
  WEB,
  async (d) => {
    await d.deploy("v1");
    const before = await d.status();
    for (const signal of ["SIGUSR2", "SIGQUIT", "SIGPIPE"] as const) d.kill(signal);
    await until("both to be heard", () => signalsSeen(d).length === 2);
    assertEquals(signalsSeen(d).sort(), ["SIGQUIT: nothing", "SIGUSR2: nothing"]);
    const after = await d.status();
    assertEquals(
      after.releases,
      before.releases.map((release, index) => ({
        ...release,
        processes: after.releases[index].processes,
      })),
    );
    assertEquals(after.releases[0].processes[0].pid, before.releases[0].processes[0].pid);
    assertEquals((await d.get()).text.trim(), "v1");
  },
);

daemonTest("a burst of signals is survived, and the last word counts", WEB, async (d) => {
  await d.deploy("v1");
  for (let i = 0; i < 200; i++) {
    for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"] as const) d.kill(signal);
  }
  assertEquals((await d.get()).text.trim(), "v1");
  await d.statusUntil("the burst to be worked off", (status) => status.operation === null);
  assertEquals((await d.events()).filter(({ event }) => event === "internal_error"), []);
  d.kill("SIGTERM");
  assertEquals(await d.ended(), { code: 0, signal: null });
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"] as const) {
  daemonTest(`${signal} during the start`, {
    config: { proxy: PATIENT, processes: { web: webProcess() } },
    start: false,
  }, async (d) => {
    await using gate = new Fifo(d.path("gate"));
    const release = d.release("v1", { start_gate: gate.path });
    d.launch("--release-path", release);
    await until("the release to be started", () => d.output().includes("process_started"));
    d.kill(signal);
    if (signal === "SIGTERM" || signal === "SIGINT") {
      assertEquals(await d.ended(), { code: 0, signal: null });
      assertEquals(d.leftovers(), []);
      return;
    }
    await until("it to be heard", () => signalsSeen(d).length === 1);
    gate.release();
    await until("readiness", () => d.output().includes("daemon_ready"));
    assertEquals((await d.get()).text.trim(), "v1");
  });
}
