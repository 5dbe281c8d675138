/** What a process does by itself: restarts after crashes within its budget, and at its memory limit. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { turn } from "../../kit/manual_clock.ts";
import { manualWorld, SETTINGS, specOf } from "./world.ts";

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
