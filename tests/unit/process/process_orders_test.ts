/** What a process is told to do and tells: stop, restart, quiesce, redefine, listeners, status. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { turn } from "../../kit/manual_clock.ts";
import { manualWorld, specOf } from "./world.ts";

Deno.test("stop: one ladder for all callers, nothing left, no restart", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  const reports = await Promise.all([process.stop(), process.stop()]);
  assertEquals(process.state, "stopped");
  assertEquals(reports[0], {
    survivors: [],
    killed: false,
    exit: reports[1].exit,
    ms: 0,
  });
  assertEquals(reports[0].exit?.signal, "SIGTERM");
  assertEquals(system.last.signals, ["SIGTERM"]);
  assertEquals(world.events("process_exited")[0].wanted, true);
  assertEquals(world.events("process_stopped").length, 1);
  await clock.advance(600_000);
  assertEquals(system.programs.length, 1);
  assertEquals(clock.pending, 0);
  assertEquals(world.output.open_runs, 0);
  assertEquals((await process.stop()).survivors, []);
});

Deno.test("stop counts only when the whole group is gone", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  const child = system.last;
  const worker = child.fork();
  child.deaf.add("SIGTERM");
  let report: unknown;
  process.stop().then((found) => report = found);
  await turn();
  child.exit(0);
  await clock.advance(9_999);
  assertEquals(process.state, "stopping");
  assertEquals(process.pid, undefined);
  assertEquals(process.identity?.pid, child.pid, "the book keeps it until the group is gone");
  assertEquals(report, undefined);
  child.end(worker);
  await turn();
  assertEquals(process.state, "stopped");
  assertEquals(process.identity, undefined);
  assert(report !== undefined);
});

Deno.test("survivors of SIGKILL are named, and nothing is started beside them", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  const first = system.last;
  const stuck = first.fork();
  first.immortal.add(stuck);
  const stopping = process.stop({ within: 0 });
  await clock.advance(5_000);
  assertEquals((await stopping).survivors, [stuck]);
  assertEquals(world.events("process_stop_failed")[0].pids, [stuck]);
  assertEquals(process.state, "stopped");
  const failure = await assertRejects(() => process.start("manual"), Failure);
  assertMatch(failure.message, new RegExp(`pid ${stuck}`));
  assertEquals(process.state, "backoff");
  assertEquals(system.programs.length, 1);
  const identities: unknown[] = [];
  process.onChange(() => identities.push(process.identity));
  first.end(stuck);
  await turn();
  assertEquals(identities, [undefined], "its end is told");
  await clock.advance(1_000);
  assertEquals(process.state, "running");
  assertEquals(system.programs.length, 2);
});

Deno.test("a stop ends the proving at once", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  const refused = assertRejects(() => process.start("deploy", { stay: 2_000 }), Failure);
  system.last.deaf.add("SIGTERM");
  const stopping = process.stop();
  await clock.advance(10_000);
  await stopping;
  await refused;
  assert(!world.names.includes("process_ready"));
});

Deno.test("restart stops, then starts; a start during a stop waits for its end", async () => {
  const { system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  await process.restart("manual");
  assertEquals(system.programs.length, 2);
  assertEquals(process.snapshot().restarts, 0, "not a crash");
  assertEquals(process.snapshot().last_start_reason, "manual");
  const stopping = process.stop();
  const starting = process.start("reload");
  await stopping;
  await starting;
  assertEquals(process.state, "running");
  assertEquals(system.programs.length, 3);
});

Deno.test("a stop during a restart refuses who waits for the start", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  const restarting = assertRejects(() => process.restart("manual"), Failure, "stopped meanwhile");
  await process.stop();
  await restarting;
  await clock.advance(600_000);
  assertEquals(system.programs.length, 1);
});

Deno.test("quiesce: it runs on, but is not started again", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  process.quiesce();
  assertEquals(process.state, "running");
  system.last.exit(1);
  await clock.advance(600_000);
  assertEquals(process.state, "failed");
  assertEquals(system.programs.length, 1);
});

Deno.test("the daemon's end: waits end, retries end, programs are left alone", async () => {
  const { clock, system, world } = manualWorld();
  const waiting = world.process(specOf());
  const started = waiting.start("deploy", { stay: 5_000 });
  const refused = assertRejects(() => started, Error, "over");
  const crashed = world.process(specOf());
  await crashed.start("deploy");
  system.last.exit(1);
  await turn();
  world.end.abort(new Error("over"));
  await refused;
  assertEquals(crashed.state, "failed");
  assertEquals(clock.pending, 0);
  await assertRejects(() => crashed.start("manual"), Error, "over");
  const [program] = system.programs;
  program.deaf.add("SIGTERM");
  assert(program.alive);
  const stopping = waiting.stop();
  await clock.advance(0);
  await stopping;
  assert(!program.alive, "a stop after the end does not wait");
});

Deno.test("a caller who goes away ends its waiting, not the program", async () => {
  const { system, world } = manualWorld();
  const process = world.process(specOf());
  const caller = new AbortController();
  const started = process.start("deploy", { stay: 5_000, signal: caller.signal });
  const refused = assertRejects(() => started, Error, "gone");
  caller.abort(new Error("gone"));
  await refused;
  assertEquals(process.state, "starting");
  assert(system.last.alive);
  await process.stop();
});

Deno.test("a listener that throws is reported and costs nobody else anything", async () => {
  const { world } = manualWorld();
  const process = world.process(specOf());
  const seen: string[] = [];
  process.onChange(() => {
    throw new Error("mine");
  });
  const off = process.onChange((subject) => void seen.push(subject.state));
  await process.start("deploy");
  process.quiesce();
  assertEquals(seen, ["starting", "starting", "running"], "nothing to see, nothing told");
  assertEquals(world.events("internal_error").map((told) => told.error).includes("mine"), true);
  off();
  await process.stop();
  assertEquals(seen.length, 3);
});

Deno.test("a listener may stop what it watches", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  process.onChange((subject) => {
    if (subject.state === "backoff") void subject.stop();
  });
  system.last.exit(1);
  await clock.advance(600_000);
  assertEquals(process.state, "stopped");
  assertEquals(system.programs.length, 1);
});

Deno.test("redefine: the next run is made from it, status tells what runs", async () => {
  const { system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  process.redefine(specOf({}, { command: "serve --new", argv: ["new"], release: "v2" }));
  assertEquals(process.snapshot().command, "serve");
  await process.restart("manual");
  assertEquals(system.last.spec.argv, ["new"]);
  assertEquals(process.snapshot().command, "serve --new");
  assertEquals(world.events("process_started")[1].release, "v2");
});

Deno.test("status: members of the group with their sum, absent facts left out", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf({ output_lines: 2 }, { port: 18182, instance: "web#1" }));
  assertEquals(process.snapshot(), {
    id: "web#1",
    process_id: "web",
    state: "stopped",
    healthy: false,
    command: "serve",
    cwd: "/app",
    port: 18182,
    restarts: 0,
    memory_restarts: 0,
    children: [],
    exit: null,
    logs: [],
  });
  const worker = system.nextPid();
  await process.start("deploy");
  const { pid, command } = system.last;
  system.last.members.add(worker);
  for (const line of ["one", "two", "three"]) world.output.say(line);
  await clock.advance(1_500);
  const shot = process.snapshot();
  assertEquals(shot.rss_bytes, 2_000_000);
  assertEquals(shot.children, [
    { pid: worker, command, rss_bytes: 1_000_000 },
    { pid, command, rss_bytes: 1_000_000 },
  ]);
  assertEquals(shot.uptime_ms, 1_500);
  assertEquals(shot.logs.map((line) => line.line), ["two", "three"]);
});
