/**
 * Random lives of real Process objects on a fake system: whatever comes in whatever order, one run at
 * a time, nothing unasked, everybody answered, nothing left behind.
 */

import { assert, assertEquals } from "@std/assert";
import type { Process } from "../../../lib/process/process.ts";
import type { StopReport } from "../../../lib/process/types.ts";
import type { FakeSystem } from "../../kit/fake_system.ts";
import { forSeeds, type Random } from "../../kit/random.ts";
import { manualWorld, SETTINGS, specOf } from "./world.ts";

/** What a caller did and how it was answered. */
interface Call {
  what: string;
  answered: boolean;
}

function act(random: Random, process: Process, system: FakeSystem, calls: Call[]): string {
  const note = (what: string, promise: Promise<unknown>) => {
    const call: Call = { what, answered: false };
    calls.push(call);
    promise.catch(() => {}).then(() => void (call.answered = true));
  };
  const what = random.pick([
    "start",
    "trial",
    "restart",
    "stop",
    "stop within",
    "hurry",
    "quiesce",
    "exit",
    "exit",
    "fork",
    "fat",
    "deaf",
    "refuse",
    "allow",
    "allow",
    "update",
  ]);
  const program = system.last;
  switch (what) {
    case "start":
      note(what, process.start("manual"));
      break;
    case "trial":
      note(what, process.start("deploy", { supervise: false, stay: random.pick([0, 300]) }));
      break;
    case "restart":
      note(what, process.restart("manual", { stay: random.pick([0, 300]) }));
      break;
    case "stop":
      note(what, process.stop());
      break;
    case "stop within":
      note(what, process.stop({ within: random.int(0, 2_000) }));
      break;
    case "hurry":
      process.hurry(random.int(0, 3_000));
      break;
    case "quiesce":
      process.quiesce();
      break;
    case "exit":
      program?.exit(random.int(0, 1));
      break;
    case "fork":
      if (program?.alive) program.fork();
      break;
    case "fat":
      if (program !== undefined) program.rss = 10_000;
      break;
    case "deaf":
      program?.deaf.add("SIGTERM");
      break;
    case "refuse":
      system.mayspawn = () => {
        throw new Error("no");
      };
      break;
    case "allow":
      system.mayspawn = () => {};
      break;
    case "update":
      process.update({ ...process.spec.live, graceful_stop: random.pick([500, "indefinite"]) });
  }
  return what;
}

Deno.test("random lives on a fake system", async () => {
  await forSeeds(150, async (random) => {
    const { clock, system, world } = manualWorld();
    const calls: Call[] = [];
    let wanted = false;
    const process = world.process(specOf({
      graceful_stop: 2_000,
      lifecycle: { quiet_command: "quiet", drain_timeout: 1_000 },
      restart: { ...SETTINGS.restart, max_restarts: random.pick([undefined, 0, 2]) },
      memory: { limit: 5_000, warn: 3_000, check_interval: 700 },
    }));
    system.mayspawn = () => {};
    system.born = (child) => {
      child.rss = 1_000;
      if (child.spec.env.SUPERVISOR_PID !== undefined) {
        if (random.chance(0.5)) child.exit(random.int(0, 1));
        return;
      }
      const alive = system.programs.filter((program) => program.alive && program !== child);
      assertEquals(alive.length, 0, "a run began beside a living group");
      assert(wanted, "a run began that nobody wanted");
      if (random.chance(0.3)) child.fork();
      if (random.chance(0.1)) child.exit(1);
    };
    for (let i = 0; i < 40; i++) {
      // Said before, because the start happens inside the call.
      const before: boolean = wanted;
      wanted = true;
      const spawned = system.programs.length;
      const what = act(random, process, system, calls);
      if (what.startsWith("stop") || what === "quiesce") wanted = false;
      else if (what !== "start" && what !== "trial" && what !== "restart") {
        wanted = before;
        assert(before || system.programs.length === spawned, "started by what is no start");
      }
      await clock.advance(random.pick([0, 1, 150, 900, 3_000]));
      if (process.state === "running") assert(process.healthy && process.identity !== undefined);
      if (process.state === "stopped") assertEquals(process.identity, undefined);
      process.snapshot();
    }
    wanted = false;
    let report: StopReport | undefined;
    process.stop({ within: 1_000 }).then((found) => report = found);
    await clock.advance(10_000);
    assertEquals(report?.survivors, []);
    assertEquals(system.children.filter((child) => child.alive), []);
    assertEquals(calls.filter((call) => !call.answered), []);
    assertEquals(process.state, "stopped");
    assertEquals([clock.pending, system.waiting], [0, 0], "timers or waits are left");
    assertEquals(world.output.open_runs, 0);
    assertEquals(world.host.memory.size, 0);
    assertEquals(world.events("internal_error"), []);
    const exited = world.events("process_exited").map((told) => told.pid).sort();
    assertEquals(exited, system.programs.map((program) => program.pid).sort(), "waited for each");
  });
});
