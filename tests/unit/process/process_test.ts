import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import type { StartFailureDetail } from "../../../lib/process/types.ts";
import { turn } from "../../kit/manual_clock.ts";
import { manualWorld, SETTINGS, specOf } from "./world.ts";

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

Deno.test("a crash is told in its own turn, cleared, and restarted after the delay", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  const seen: string[] = [];
  process.onChange((subject) => {
    const first = world.names.includes("process_exited") ? "late" : "first";
    seen.push(`${subject.state} ${subject.healthy} ${first}`);
  });
  await process.start("deploy");
  seen.length = 0;
  const crashed = system.last;
  const child = crashed.fork();
  await clock.advance(5_000);
  crashed.exit(3);
  await turn();
  assertEquals(seen[0], "backoff false first");
  assert(!crashed.members.has(child), "the rest of its group is killed");
  assertEquals(world.events("process_leftovers_killed"), [{
    process: "web",
    release: "v1",
    pids: [child],
  }]);
  assertEquals(world.events("process_exited"), [{
    process: "web",
    release: "v1",
    pid: crashed.pid,
    code: 3,
    signal: null,
    wanted: false,
    up_ms: 5_000,
  }]);
  const shot = process.snapshot();
  assertEquals(shot.state, "backoff");
  assertEquals(shot.reason, "exited with code 3 after 5s");
  assertEquals(shot.pid, undefined);
  assertEquals(shot.exit_code, 3);
  assertEquals(shot.next_start_at, new Date(clock.wall() + 1_000).toISOString());
  await clock.advance(999);
  assertEquals(system.programs.length, 1);
  await clock.advance(1);
  assertEquals(process.state, "running");
  assertEquals(process.snapshot().restarts, 1);
  assertEquals(process.snapshot().last_start_reason, "crash");
  assertEquals(process.snapshot().exit?.code, 3);
  assertEquals(process.snapshot().exit_code, undefined);
  assertEquals(process.snapshot().next_start_at, undefined);
  assertEquals(world.output.open_runs, 1);
});

Deno.test("an exit with code 0 that nobody asked for is a crash", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  system.last.exit(0);
  await turn();
  assertEquals(process.state, "backoff");
  assertEquals(process.snapshot().reason, "exited with code 0 after 0");
  await clock.advance(1_000);
  assertEquals(system.programs.length, 2);
});

Deno.test("the budget: waits double, then it is given up; a restart revives and forgives", async () => {
  const { clock, system, world } = manualWorld();
  const restart = { ...SETTINGS.restart, max_restarts: 2 };
  const process = world.process(specOf({ restart }));
  await process.start("deploy");
  system.last.exit(1);
  await clock.advance(1_000);
  system.last.exit(1);
  await clock.advance(1_999);
  assertEquals(system.programs.length, 2);
  await clock.advance(1);
  assertEquals(system.programs.length, 3);
  system.last.exit(null, "SIGSEGV");
  await clock.advance(600_000);
  assertEquals(process.state, "failed");
  assertEquals(
    process.snapshot().reason,
    "given up after 2 restarts within 1m; last: was killed by SIGSEGV after 0",
  );
  assertEquals(world.events("process_gave_up").length, 1);
  assertEquals(clock.pending, 0);
  await process.restart("manual");
  assertEquals(process.state, "running");
  assertEquals(process.snapshot().reason, undefined);
  system.last.exit(1);
  await clock.advance(1_000);
  assertEquals(process.state, "running", "the first wait again, and the budget is whole");
});

Deno.test("who stayed up long enough waits the first delay again", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  system.last.exit(1);
  await clock.advance(1_000);
  await clock.advance(30_000);
  system.last.exit(1);
  await clock.advance(1_000);
  assertEquals(process.state, "running");
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

Deno.test("memory: warned once, restarted at the limit, not counted as a crash", async () => {
  const { clock, system, world } = manualWorld();
  const memory = { limit: 3_000, warn: 1_500, check_interval: 5_000 };
  const process = world.process(specOf({ memory }));
  await process.start("deploy");
  const first = system.last;
  first.fork();
  first.rss = 1_000;
  await clock.advance(20_000);
  assertEquals(world.events("memory_warning"), [{
    process: "web",
    release: "v1",
    rss_bytes: 2_000,
    warn_bytes: 1_500,
  }]);
  first.rss = 500;
  await clock.advance(5_000);
  first.rss = 1_000;
  await clock.advance(5_000);
  assertEquals(world.events("memory_warning").length, 2, "armed again by falling below");
  first.rss = 1_501;
  await clock.advance(5_000);
  assertEquals(world.events("memory_limit_exceeded")[0].rss_bytes, 3_002);
  assertEquals(first.signals[0], "SIGTERM");
  assertEquals(process.state, "running");
  const shot = process.snapshot();
  assertEquals([shot.memory_restarts, shot.restarts], [1, 0]);
  assertEquals(shot.last_start_reason, "memory");
  assertEquals(shot.last_memory_restart_at, shot.started_at);
  await process.stop();
  assertEquals(world.host.memory.size, 0);
  assertEquals(clock.pending, 0);
});

Deno.test("memory: a draining program is stopped at the limit, not restarted", async () => {
  const { clock, system, world } = manualWorld();
  const memory = { limit: 3_000, warn: 0, check_interval: 5_000 };
  const process = world.process(specOf({ memory }));
  await process.start("deploy");
  process.quiesce();
  system.last.rss = 4_000;
  await clock.advance(10_000);
  assertEquals(process.state, "stopped");
  assertMatch(process.snapshot().reason!, /more than its limit/);
});

Deno.test("memory settings that change reach a program that runs", async () => {
  const { clock, system, world } = manualWorld();
  const process = world.process(specOf());
  await process.start("deploy");
  system.last.rss = 4_000;
  await clock.advance(10_000);
  const memory = { limit: 3_000, warn: 0, check_interval: 1_000 };
  process.update({ ...SETTINGS, memory });
  await clock.advance(1_000);
  assertEquals(process.snapshot().memory_restarts, 1);
  process.update(SETTINGS);
  assertEquals(world.host.memory.size, 0);
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
