import { assert, assertEquals, assertMatch } from "@std/assert";
import type { LiveSettings } from "../../../lib/process/types.ts";
import { turn } from "../../kit/manual_clock.ts";
import { manualWorld, SETTINGS, specOf } from "./world.ts";

/** A running process, with what a test wants different. */
async function running(live: Partial<LiveSettings> = {}) {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf(live));
  await process.start("deploy");
  const steps = () => world.events("process_stopping").map((told) => told.step);
  return { clock, system, world, process, program: system.last, steps };
}

Deno.test("the plain ladder: signal, wait, SIGKILL", async () => {
  const { clock, world, process, program, steps } = await running();
  program.deaf.add("SIGTERM");
  const stopping = process.stop();
  await clock.advance(9_999);
  assertEquals(program.signals, ["SIGTERM"]);
  await clock.advance(1);
  assertEquals(program.signals, ["SIGTERM", "SIGKILL"]);
  const report = await stopping;
  assertEquals([report.killed, report.ms, report.exit?.signal], [true, 10_000, "SIGKILL"]);
  assertEquals(steps(), ["stop", "kill"]);
  assertEquals(world.events("process_stop_overdue")[0].after_ms, 10_000);
});

Deno.test("all steps in order, each with the group's pid in the hook's environment", async () => {
  const { clock, system, process, program, steps } = await running({
    lifecycle: {
      quiet_command: "quiet it",
      drain_command: "drain it",
      drain_timeout: 60_000,
      stop_command: "stop it",
    },
  });
  const stopping = process.stop();
  await turn();
  for (const command of ["quiet it", "drain it", "stop it"]) {
    const hook = system.hooks.at(-1)!;
    assertEquals(hook.spec.argv, ["/bin/sh", "-c", command]);
    assertEquals(hook.spec.cwd, "/app");
    assertEquals(hook.spec.env.SUPERVISOR_PID, String(program.pid));
    assertEquals(hook.spec.env.SECRET, "hunter2");
    assertEquals(hook.spec.output?.stdout, "/spool/out");
    assertEquals(program.signals, []);
    hook.exit(0);
    await turn();
  }
  assertEquals(system.hooks.length, 3);
  assertEquals(program.signals, [], "the stop command takes the place of the signal");
  program.exit(0);
  await stopping;
  assertEquals(steps(), ["quiet", "drain", "stop"]);
  assertEquals(clock.pending, 0);
});

Deno.test("without a drain command the drain waits for the program to leave by itself", async () => {
  const lifecycle = { drain_timeout: 60_000 };
  const { clock, process, program, steps } = await running({ lifecycle });
  const stopping = process.stop();
  await clock.advance(59_999);
  assertEquals(program.signals, []);
  program.exit(0);
  const report = await stopping;
  assertEquals([report.killed, report.exit?.code, report.ms], [false, 0, 59_999]);
  assertEquals(steps(), ["drain"], "who left needs no signal");

  const late = await running({ lifecycle });
  const stopped = late.process.stop();
  await late.clock.advance(60_000);
  assertEquals(late.program.signals, ["SIGTERM"]);
  await stopped;
});

Deno.test("a leader that leaves in the drain does not excuse the rest of its group", async () => {
  const { process, program } = await running({ lifecycle: { drain_timeout: 60_000 } });
  program.fork();
  const stopping = process.stop();
  await turn();
  program.exit(0);
  await stopping;
  assertEquals(program.signals, ["SIGTERM"]);
  assert(!program.alive);
});

Deno.test("who leaves during the quiet command needs nothing more", async () => {
  const { system, process, program, steps } = await running({
    lifecycle: { quiet_command: "quiet it", drain_timeout: 60_000 },
  });
  const stopping = process.stop();
  await turn();
  program.exit(0);
  system.hooks[0].exit(0);
  await stopping;
  assertEquals(steps(), ["quiet"]);
});

Deno.test("a stop waits until its leader is reaped, also when it was killed", async () => {
  for (const deaf of [[], ["SIGTERM"]]) {
    const { clock, process, program } = await running();
    for (const name of deaf) program.deaf.add(name);
    const reaped = Promise.withResolvers<void>();
    program.reaping = reaped.promise;
    const stopping = process.stop({ within: 100 });
    await clock.advance(200);
    assert(!program.alive);
    assertEquals(process.state, "stopping");
    reaped.resolve();
    assert((await stopping).exit !== null);
  }
});

Deno.test("indefinite waits for ever, its hooks do not", async () => {
  const { clock, system, world, process, program } = await running({
    graceful_stop: "indefinite",
    lifecycle: { quiet_command: "quiet it", drain_timeout: 0 },
  });
  program.deaf.add("SIGTERM");
  const stopping = process.stop();
  await clock.advance(29_999);
  assertEquals(program.signals, []);
  await clock.advance(1);
  assertEquals(system.hooks[0].signals, ["SIGKILL"]);
  assertMatch(world.events("hook_failed")[0].error, /did not end within 30s/);
  await clock.advance(7 * 86_400_000);
  assertEquals(program.signals, ["SIGTERM"]);
  assertEquals(clock.pending, 0);
  program.exit(0);
  assertEquals((await stopping).killed, false);
});

Deno.test("a hook that fails is told and costs nothing; a failed stop command falls back", async () => {
  const { system, world, process, program } = await running({
    lifecycle: { quiet_command: "quiet it", stop_command: "stop it", drain_timeout: 0 },
  });
  system.born = (child) => child.exit(child.command.includes("quiet") ? 3 : 1);
  await process.stop();
  assertEquals(world.events("hook_failed"), [
    { process: "web", release: "v1", hook: "quiet_command", error: "exited with code 3" },
    { process: "web", release: "v1", hook: "stop_command", error: "exited with code 1" },
  ]);
  assertEquals(program.signals, ["SIGTERM"]);
});

Deno.test("a hook that cannot be started is told, and the ladder goes on", async () => {
  const { system, world, process } = await running({
    lifecycle: { quiet_command: "quiet it", drain_timeout: 0 },
  });
  system.mayspawn = () => {
    throw new Error("no such directory");
  };
  await process.stop();
  assertEquals(world.events("hook_failed")[0].error, "no such directory");
});

Deno.test("what a hook leaves in the background is killed", async () => {
  const { system, process } = await running({
    lifecycle: { quiet_command: "quiet it", drain_timeout: 0 },
  });
  const stopping = process.stop();
  await turn();
  const [hook] = system.hooks;
  hook.fork();
  hook.exit(0);
  await stopping;
  assert(!hook.alive);
});

Deno.test("hurry ends quiet and drain, and brings SIGKILL nearer", async () => {
  const { clock, system, world, process, program, steps } = await running({
    graceful_stop: "indefinite",
    lifecycle: { quiet_command: "quiet it", drain_timeout: 60_000 },
  });
  program.deaf.add("SIGTERM");
  const stopping = process.stop();
  await clock.advance(5_000);
  process.hurry(2_000);
  await turn();
  assertEquals(system.hooks[0].signals, ["SIGKILL"]);
  assertMatch(world.events("hook_failed")[0].error, /hurry/);
  assertEquals(program.signals, ["SIGTERM"]);
  process.hurry(9_000);
  await clock.advance(1_999);
  assertEquals(program.signals, ["SIGTERM"], "a later call cannot move the end away");
  await clock.advance(1);
  assertEquals(program.signals, ["SIGTERM", "SIGKILL"]);
  await stopping;
  assertEquals(steps(), ["quiet", "stop", "kill"]);
  assertEquals(clock.pending, 0);
});

Deno.test("hurry(0) kills now, in whatever step", async () => {
  for (const wait of [0, 40_000, 70_000]) {
    const { clock, process, program } = await running({
      graceful_stop: "indefinite",
      lifecycle: { quiet_command: "quiet it", drain_timeout: 30_000 },
    });
    program.deaf.add("SIGTERM");
    const stopping = process.stop();
    await clock.advance(wait);
    process.hurry(0);
    await clock.advance(0);
    assertEquals(program.signals.at(-1), "SIGKILL");
    await stopping;
  }
});

Deno.test("hurry without a stop changes nothing", async () => {
  const { clock, process, program } = await running({ lifecycle: { drain_timeout: 60_000 } });
  process.hurry(0);
  const stopping = process.stop();
  await clock.advance(59_000);
  assertEquals(program.signals, []);
  program.exit(0);
  await stopping;
});

Deno.test("stop within a time: no drain, SIGKILL at its end; it also shortens a stop that is on", async () => {
  const { clock, process, program } = await running({ lifecycle: { drain_timeout: 60_000 } });
  program.deaf.add("SIGTERM");
  const first = process.stop();
  await clock.advance(1_000);
  assertEquals(program.signals, []);
  const second = process.stop({ within: 500 });
  await clock.advance(499);
  assertEquals(program.signals, ["SIGTERM"]);
  await clock.advance(1);
  assertEquals(program.signals, ["SIGTERM", "SIGKILL"]);
  assertEquals(await first, await second);
});

Deno.test("settings that change reach the steps that have not come", async () => {
  const { clock, process, program } = await running({ lifecycle: { drain_timeout: 60_000 } });
  program.deaf.add("SIGINT");
  const stopping = process.stop();
  await turn();
  process.update({ ...SETTINGS, stop_signal: "SIGINT", graceful_stop: 3_000 });
  await clock.advance(60_000);
  assertEquals(program.signals, ["SIGINT"]);
  await clock.advance(3_000);
  assertEquals(program.signals, ["SIGINT", "SIGKILL"]);
  await stopping;
});

Deno.test("what never worked is stopped without quiet and drain, and not for ever", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf({
    graceful_stop: "indefinite",
    lifecycle: { quiet_command: "quiet it", drain_timeout: 60_000 },
    memory: { limit: 1_000, warn: 0, check_interval: 1_000 },
  }));
  const started = process.start("deploy", { supervise: false, stay: 60_000 });
  const refused = started.catch((error) => error);
  const program = system.last;
  program.deaf.add("SIGTERM");
  await clock.advance(1_000);
  assertMatch((await refused).message, /more than its limit/);
  assertEquals(program.signals, ["SIGTERM"]);
  await clock.advance(30_000);
  assertEquals(program.signals, ["SIGTERM", "SIGKILL"]);
  assertEquals(system.hooks, []);
  assertEquals(process.state, "failed");
});

Deno.test("a group that grows while it is killed is killed again", async () => {
  const { clock, process, program } = await running();
  program.deaf.add("SIGTERM");
  program.immortal.add(program.fork());
  const stopping = process.stop({ within: 0 });
  await clock.advance(1_000);
  assert(program.signals.filter((name) => name === "SIGKILL").length > 1);
  program.immortal.clear();
  await clock.advance(500);
  assertEquals((await stopping).survivors, []);
});
