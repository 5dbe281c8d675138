/**
 * What operators can ask of the daemon. Each operation is short: it takes its turn and calls the
 * floor below.
 *
 * Invariant: everything that changes processes or configuration takes a turn; everything that only
 * looks does not, so that looking works while a change hangs.
 */

import { isAbsolute } from "@std/path";
import { Exit, Failure, messageOf } from "../core/failure.ts";
import type {
  DeployRequest,
  DeployResult,
  EventsQuery,
  ExplainQuery,
  Explanation,
  LogsQuery,
  Operations,
  Progress,
  ReloadResult,
  ResetRequest,
  ResetResult,
  RestartRequest,
  RestartResult,
  RollbackRequest,
  ScaleRequest,
  ScaleResult,
  Status,
  StopRequest,
  Workers,
  WorkersQuery,
} from "../control/operations.ts";
import { idOf } from "../process/spool.ts";
import type { Tell } from "../release/deploy.ts";
import { releaseDirectory } from "../release/fleet.ts";
import { poolsShown, resetPools } from "../release/pool_work.ts";
import { checkReleaseId } from "../release/release_id.ts";
import { restart, scale } from "../release/restart.ts";
import { stopRelease } from "../release/stop_release.ts";
import type { Context } from "./context.ts";
import { explain, EXPLAINED_EVENTS, isAbout } from "./explain.ts";
import { jobsOperations, pipelineStatuses } from "./jobs_operations.ts";
import { health, status } from "./status.ts";
import { planned, type Target, type Transition, transition } from "./transition.ts";

/** Does nothing with progress: for operations that have nobody to tell. */
const UNTOLD: Tell = () => {};

/** @param shutdown ends the daemon; resolves when everything it promises is done */
export function operations(context: Context, shutdown: (why: string) => Promise<void>): Operations {
  const { fleet, turn } = context;

  async function goLive(
    name: string,
    target: () => Target,
    wait: boolean | undefined,
    progress: (step: Progress) => void,
  ): Promise<DeployResult> {
    const began = context.clock.now();
    const tell: Tell = (step, message) =>
      progress({ type: "progress", ms: Math.round(context.clock.now() - began), step, message });
    const deployed = await turn.run(
      name,
      async (signal) => (await transition(context, target(), tell, signal)).deployed!,
      (behind) => {
        context.emit("deploy_queued", { release: name, waiting_for: behind });
        tell("queued", `waiting for: ${behind}`);
      },
    );
    context.restore.forget();
    if (!wait) return deployed.result;
    await deployed.retired;
    return { ...deployed.result, drained: true };
  }

  return {
    health: () => health(context),
    status: () => status(context),

    deploy(request: DeployRequest, progress): Promise<DeployResult> {
      const { release_path, release_id, revision, wait } = request;
      if (!isAbsolute(release_path)) {
        throw new Failure(`the release path "${release_path}" is relative`, {
          exit: Exit.usage,
          fix: "send an absolute path: the daemon has another working directory than you",
        });
      }
      if (release_id !== undefined) checkReleaseId(release_id);
      const path = releaseDirectory(release_path);
      const name = `deploy ${release_id ?? revision ?? path}`;
      const target: Target = { kind: "deploy", release_path: path, release_id, revision };
      return goLive(name, () => target, wait, progress);
    },

    rollback(request: RollbackRequest, progress): Promise<DeployResult> {
      // Which release that is may change while this waits in line, so it is looked up at its turn.
      const target = (): Target => {
        const { record } = fleet.rollbackTarget(request.release_id);
        const { release_path, release_id, revision, lineage } = record;
        return { kind: "rollback", release_path, release_id, revision, lineage };
      };
      target();
      return goLive(`rollback ${request.release_id ?? ""}`.trim(), target, request.wait, progress);
    },

    async stop({ release_id, now }: StopRequest): Promise<Status> {
      await turn.run(`stop ${release_id ?? ""}`.trim(), async () => {
        await stopRelease(fleet, release_id, now === true);
        if (fleet.wanted === undefined) context.restore.forget();
      });
      return status(context);
    },

    async restart(request: RestartRequest): Promise<RestartResult> {
      const name = `restart ${request.process ?? request.policy ?? ""}`.trim();
      const restarted = await turn.run(name, (signal) => restart(fleet, request, signal));
      return { status: "success", restarted };
    },

    async scale({ name, count }: ScaleRequest): Promise<ScaleResult> {
      const previous = await turn.run(
        `scale ${name} ${count}`,
        (signal) => scale(fleet, name, count, signal),
      );
      return { status: "success", name, count, previous };
    },

    async reset({ plugin }: ResetRequest): Promise<ResetResult> {
      const pools = await turn.run(
        `reset ${plugin ?? ""}`.trim(),
        (signal) => resetPools(fleet, plugin, signal),
      );
      return { status: "success", pools };
    },

    workers: ({ plugin }: WorkersQuery) => workers(context, plugin),

    reload(): Promise<ReloadResult> {
      return reload(context, "reload");
    },

    async plan(): Promise<ReloadResult> {
      const { next, changes } = await planned(context);
      return { status: "success", changes, warnings: next.warnings, errors: [] };
    },

    async shutdown() {
      await shutdown("shutdown was asked for");
      return { status: "success", message: "everything is stopped" };
    },

    async explain({ name }: ExplainQuery): Promise<Explanation> {
      const events = await context.journal.search(isAbout(name), EXPLAINED_EVENTS);
      const pipelines = context.queues?.pipelines().map((one) => one.name) ?? [];
      // Drivers are asked for their numbers only by who wants to know.
      const all = pipelines.includes(name) ? await pipelineStatuses(context) : [];
      return explain(name, {
        pipelines,
        pipeline: all.find(({ pipeline }) => pipeline === name),
        status: status(context),
        workers: workers(context),
        config: context.config,
        events,
        now: context.clock.wall(),
      });
    },

    events: (query: EventsQuery, signal) => context.journal.query(query, signal),
    logs(query: LogsQuery, signal) {
      checkHasLog(context, query.process);
      return context.output.store.query(query, signal);
    },

    jobs: jobsOperations(context),
  };
}

function workers({ fleet }: Context, plugin?: string): Workers {
  const pools = poolsShown(fleet, plugin);
  return {
    pools: pools.map((pool) => pool.snapshot()),
    workers: pools.flatMap((pool) => pool.workers()),
  };
}

/** @throws Failure when a process is neither configured nor known from what it printed */
function checkHasLog({ config, output }: Context, process: string | undefined): void {
  if (process === undefined) return;
  const known = new Set([...config.processes.map(({ id }) => id), ...output.store.ids()]);
  if (known.has(process) || known.has(idOf(process))) return;
  throw new Failure(`there is no process "${process}" and no log of it`, {
    fix: `processes: ${[...known].sort().join(", ")}`,
  });
}

/**
 * Reload, for the control API and SIGHUP.
 * @param trigger for the event that tells why it did not work
 * @throws Failure; nothing has changed then
 */
export async function reload(context: Context, trigger: string): Promise<ReloadResult> {
  let done: Transition;
  try {
    done = await context.turn.run(
      "reload",
      (signal) => transition(context, undefined, UNTOLD, signal),
    );
  } catch (error) {
    context.emit("config_rejected", { error: messageOf(error), trigger });
    throw error;
  }
  return {
    status: "success",
    changes: done.changes,
    ...(done.deployed && { active_release_id: done.deployed.result.active_release_id }),
    warnings: context.config.warnings,
    errors: done.errors,
  };
}
