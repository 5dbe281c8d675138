/** Starts of a process: what is spawned, the trial of a release, and why a start failed. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { StartFailureDetail } from "../../../lib/process/types.ts";
import { turn } from "../../kit/manual_clock.ts";
import { manualWorld, specOf } from "./world.ts";

Deno.test("starts: spawned with the given environment, output and identity, then running", async () => {
  const { system, world } = manualWorld({ LANG: "C", PATH: "/daemon" });
  const identity = { user: "app", uid: 7, gid: 7, home: "/home/app" };
  const process = world.process(specOf({}, { identity }));
  assertEquals(process.state, "stopped");
  await process.start("deploy");
  assertEquals(process.state, "running");
  assert(process.healthy);
  const { spec, pid } = system.last;
  assertEquals(process.pid, pid);
  assertEquals(spec.argv, ["/bin/sh", "-c", "serve"]);
  assertEquals(spec.env, { LANG: "C", PATH: "/usr/bin:/bin", SECRET: "hunter2" });
  assertEquals(spec.identity, identity);
  assertEquals(spec.output, { stdout: "/spool/out", stderr: "/spool/err" });
  assertEquals(world.names, ["process_starting", "process_started", "process_ready"]);
  await process.start("manual");
  assertEquals(system.programs.length, 1, "a start of what runs starts nothing");
});

Deno.test("a spawn that fails is a state with a reason, and is tried again", async () => {
  const { clock, system, world } = manualWorld();
  system.mayspawn = () => {
    throw new Failure('"/gone" is not a directory', {
      fix: "create it",
      detail: { errno: "ENOENT" },
    });
  };
  const process = world.process(specOf());
  const failure = await assertRejects(() => process.start("deploy"), Failure);
  assertEquals(failure.message, 'process "web" did not start: "/gone" is not a directory');
  assertEquals(failure.fix, "create it");
  assertEquals(failure.detail?.errno, "ENOENT");
  assertEquals(failure.detail?.cwd, "/app");
  assertEquals(failure.detail?.env_keys, ["PATH", "SECRET"]);
  assertEquals(process.state, "backoff");
  assertEquals(process.snapshot().reason, '"/gone" is not a directory');
  assertEquals(world.output.open_runs, 0, "its spool is not left behind");
  system.mayspawn = () => {};
  await clock.advance(1_000);
  assertEquals(process.state, "running");
});

Deno.test("on trial an early exit is final and told at once, in full", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  world.output.say("of an earlier run");
  await clock.advance(1);
  const started = process.start("deploy", { supervise: false, stay: 100 });
  const refused = assertRejects(() => started, Failure);
  world.output.say("listening", "stdout");
  world.output.say("Error: no database");
  await clock.advance(20);
  assertEquals(process.state, "starting");
  system.last.exit(1);
  const failure = await refused;
  const detail = failure.detail as unknown as StartFailureDetail;
  assertEquals(failure.message, 'process "web" did not start: it exited with code 1 after 20ms');
  assertMatch(failure.fix!, /last output/);
  assertEquals(detail, {
    process: "web",
    release: "v1",
    argv: ["/bin/sh", "-c", "serve"],
    cwd: "/app",
    env_keys: ["PATH", "SECRET"],
    exit_code: 1,
    exit_signal: null,
    elapsed_ms: 20,
    stderr: ["Error: no database"],
    stdout: ["listening"],
  });
  await turn();
  assertEquals(process.state, "failed");
  await clock.advance(600_000);
  assertEquals(system.programs.length, 1);
  const [told] = world.events("process_start_failed");
  assert(!JSON.stringify(world.told).includes("hunter2"), "no environment value in events");
  assertEquals(told.detail?.argv, undefined);
});

Deno.test("the report does not wait for ever for the last output", async () => {
  const { clock, system, world } = manualWorld();
  world.output.stuck = true;
  const started = world.process(specOf()).start("deploy", { supervise: false, stay: 100 });
  const refused = assertRejects(() => started, Failure);
  system.last.exit(1);
  await clock.advance(5_000);
  await refused;
});

Deno.test("after the trial it is restarted like any other", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  const started = process.start("deploy", { supervise: false, stay: 100 });
  await clock.advance(100);
  await started;
  system.last.exit(1);
  await clock.advance(1_200);
  assertEquals(process.state, "running");
});

Deno.test("exit 127 and 126 and 0 each get the fix that fits", async () => {
  for (const [code, fix] of [[127, /exists/], [126, /chmod/], [0, /foreground/]] as const) {
    const { system, world } = manualWorld();
    const started = world.process(specOf()).start("deploy", { supervise: false, stay: 100 });
    const refused = assertRejects(() => started, Failure);
    system.last.exit(code);
    assertMatch((await refused).fix!, fix);
  }
});

Deno.test("a program that ends because a stranger holds its port says so", async () => {
  const { system, world } = manualWorld();
  system.listening.set(18182, [{ address: "127.0.0.1", pids: [4242] }]);
  const process = world.process(specOf({}, { port: 18182 }));
  const started = process.start("deploy", { supervise: false, stay: 100 });
  const refused = assertRejects(() => started, Failure);
  system.last.exit(1);
  const failure = await refused;
  assertEquals(failure.detail?.port_taken, true);
  assertMatch(failure.message, /another program listens on its port/);
});

Deno.test("a listener whose owner is not to be seen is a stranger once nobody of ours lives", async () => {
  for (const leftover of [false, true]) {
    const { system, world } = manualWorld();
    system.listening.set(18182, [{ address: "0.0.0.0", pids: [] }]);
    const process = world.process(specOf({}, { port: 18182 }));
    const started = process.start("deploy", { supervise: false, stay: 100 });
    const refused = assertRejects(() => started, Failure);
    if (leftover) system.last.fork();
    system.last.exit(1);
    assertEquals((await refused).detail?.port_taken, leftover ? undefined : true);
  }
});

Deno.test("its own leftovers on the port are no strangers", async () => {
  const { system, world } = manualWorld();
  const process = world.process(specOf({}, { port: 18182 }));
  const started = process.start("deploy", { supervise: false, stay: 100 });
  const refused = assertRejects(() => started, Failure);
  system.listening.set(18182, [{ address: "127.0.0.1", pids: [system.last.fork()] }]);
  system.last.exit(1);
  assertEquals((await refused).detail?.port_taken, undefined);
});
