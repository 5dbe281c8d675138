/**
 * `server.on_init`: a command that prepares a release before its first worker starts (migrations,
 * caches).
 *
 * | ends by              | then                                                          |
 * | -------------------- | ------------------------------------------------------------- |
 * | exit code 0          | workers start                                                 |
 * | anything else        | it is told; workers start, unless `exit_on_error`             |
 * | exec_timeout         | its whole group is killed, then as above                      |
 * | the deploy is undone | its whole group is killed; the deploy fails for its own reason |
 *
 * Invariants: at most one run for each generation, however many pools wait for it; nothing of its group
 * outlives it, and none begins while one that a dead daemon left is there. It gets neither RR_RELAY nor
 * RR_RPC, as RoadRunner's gets none.
 */

import type { OnInitConfig } from "../config/roadrunner/server.ts";
import { formatDuration } from "../core/duration.ts";
import { Failure, messageOf } from "../core/failure.ts";
import type { PidIdentity } from "../os/system.ts";
import { Haste } from "../process/haste.ts";
import { runHook } from "../process/hook.ts";
import type { Ground } from "./ground.ts";
import { renderedEnv, wordsOf } from "./render_worker.ts";
import {
  identityEnv,
  injected,
  markOf,
  rendered,
  type Surroundings,
  templateValues,
} from "./render.ts";
import { userNamed } from "./identity.ts";

/** Under this name its output is found in the logs. */
const ID = "on_init";
const OWNER = { id: ID, section: "server.on_init" };

/** Lines of its output that a failure shows. */
const LAST_LINES = 20;

/** @throws Failure when it failed and `exit_on_error` is set, the signal's reason when aborted */
export async function runOnInit(
  config: OnInitConfig,
  around: Surroundings,
  ground: Ground,
  signal: AbortSignal,
): Promise<void> {
  const { book, clock, emit, orphans, output, system } = ground;
  const release = around.release.release_id;
  const copy = { index: 0, count: 1 };
  const values = templateValues(ID, copy, around);
  const argv = wordsOf(config.command, OWNER).map((word) =>
    rendered(OWNER, "command", word, values)
  );
  const identity = userNamed(config.user, ID, system);
  const env = {
    ...around.env,
    ...injected(ID, copy, around),
    ...identityEnv(identity),
    ...renderedEnv(ID, OWNER.section, config.env, values),
  };
  const run = output.open({ id: ID, instance: ID, release }, LAST_LINES);
  const began = clock.now();
  let error: string | undefined;
  const haste = new Haste(clock);
  const cancel = () => haste.hurry(0);
  signal.addEventListener("abort", cancel, { once: true });
  let booked: PidIdentity | undefined;
  const spawned = (id: PidIdentity) => {
    booked = id;
    const entry = { instance: ID, id: ID, policy: "singleton", release } as const;
    book.put({ ...id, ...entry, mark: markOf(env) });
  };
  try {
    // One that a dead daemon left behind is not to run beside this one.
    await orphans.clearFor(ID);
    signal.throwIfAborted();
    emit("on_init_started", { release });
    const spawn = { argv, cwd: around.release.release_path, env, identity, output: run.files };
    const limit = config.exec_timeout;
    error = await runHook(system, haste, { spawn, stage: "stop", limit, spawned });
    await run.settle();
  } catch (failure) {
    error = messageOf(failure);
  } finally {
    signal.removeEventListener("abort", cancel);
    run.end();
    if (booked !== undefined) forget(booked, ground);
  }
  signal.throwIfAborted();
  const ms = Math.round(clock.now() - began);
  if (error === undefined) return emit("on_init_finished", { release, ms });
  const said = run.recent().map(({ line }) => line);
  emit("on_init_failed", { release, ms, error, fatal: config.exit_on_error });
  if (!config.exit_on_error) return;
  throw new Failure(`server.on_init ${error} after ${formatDuration(ms)}`, {
    fix: "correct the command, or remove server.on_init.exit_on_error",
    detail: { process: ID, release, argv, cwd: around.release.release_path, stderr: said },
  });
}

/** Takes it out of the process book when nothing is left of its group. */
async function forget(id: PidIdentity, { system, book }: Ground): Promise<void> {
  await system.groupGone(id.pid);
  book.remove(id);
}
