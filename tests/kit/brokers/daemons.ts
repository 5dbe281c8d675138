/** What real daemons on one broker do. */

import { assert, assertEquals } from "@std/assert";
import type { Daemon } from "../daemon.ts";
import { deliveries, emptied, holdJob, push } from "../jobs.ts";
import { until } from "../wait.ts";
import { pidsOf, runs, told } from "../workers.ts";

/** Two share the jobs of the pipeline `mail`: the one that has one is killed, and the other does it. */
export async function eitherIsKilled(one: Daemon, two: Daemon): Promise<void> {
  await using held = await holdJob(one);
  const has = (await pidsOf(one)).includes(held.pid) ? one : two;
  const other = has === one ? two : one;
  has.kill("SIGKILL");
  await has.ended();
  // As when its machine is gone: the worker would wait at the gate still.
  Deno.kill(held.pid, "SIGKILL");
  const pid = await held.again();
  assert((await pidsOf(other)).includes(pid), "the other daemon has it");
  await until("the worker of the dead daemon to be gone", () => !runs(held.pid));
  held.finish();
  const more: string[] = [];
  for (let i = 0; i < 5; i++) more.push(await push(other, "log", other.path("log")));
  await emptied(other);
  assertEquals(deliveries(other), [held.id, ...more]);
  await has.start();
  const from = await push(has, "log", has.path("log"));
  await until("it is done", () => [...deliveries(one), ...deliveries(two)].includes(from));
  await emptied(has);
  for (const daemon of [one, two]) {
    assertEquals(await told(daemon, "job_unsettled"), []);
    assertEquals(await told(daemon, "internal_error"), []);
  }
}
