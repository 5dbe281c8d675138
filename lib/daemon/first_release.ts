/**
 * What is live when the daemon comes up: the release asked for, else the one remembered, else, where
 * nothing was ever deployed, the worker pools in the directory of the configuration, else nothing.
 *
 * Invariant: what a dead daemon left running is stopped once something is live in its place, or at
 * once when nothing will be.
 */

import { deploy, type Order, type Tell } from "../release/deploy.ts";
import type { Config } from "../config/config.ts";
import { hasInitial, INITIAL, INITIAL_LINEAGE } from "../release/initial.ts";
import { checkReleaseId } from "../release/release_id.ts";
import type { ReleaseRecord } from "../release/types.ts";
import type { Context } from "./context.ts";
import { Restore } from "./restore.ts";

/** Nobody watches the start of a daemon step by step; the journal has it all. */
const UNTOLD: Tell = () => {};

/**
 * @param asked the release of the command line
 * @param remembered the release that was live when the daemon before this one ended
 * @throws Failure when the release asked for, or generation `initial`, cannot be made live
 */
export async function firstRelease(
  context: Context,
  asked: { path: string; id?: string; revision?: string } | undefined,
  remembered: ReleaseRecord | null,
): Promise<void> {
  const { orphans } = context.fleet.ground;
  if (asked !== undefined) {
    const { path: release_path, id: release_id, revision } = asked;
    if (release_id !== undefined) checkReleaseId(release_id, "--release-id");
    await goLive(context, { kind: "deploy", release_path, release_id, revision });
  } else if (remembered !== null) await context.restore.run(remembered);
  else if (startsInitial(context)) await goLive(context, initialTarget(context.config));
  void orphans.clear();
}

/** Where something was deployed and nothing is live, somebody stopped it: it stays so. */
function startsInitial({ fleet, config }: Context): boolean {
  return fleet.releases.length === 0 && hasInitial(config);
}

/** Generation `initial`, as a target. */
export function initialTarget(config: Config): Omit<Order, "config" | "adopt"> {
  return {
    kind: "initial",
    release_path: config.dir,
    release_id: INITIAL,
    revision: INITIAL,
    lineage: INITIAL_LINEAGE,
  };
}

/** The restoration of this daemon; `context` is asked late, because it holds the restoration. */
export function restoration(
  base: Pick<Context, "clock" | "emit">,
  context: () => Context,
): Restore {
  const wanted = () => context().fleet.wanted !== undefined && context().state !== "stopping";
  const attempt = ({ release_path, release_id, revision, lineage }: ReleaseRecord) =>
    goLive(context(), { kind: "restore", release_path, release_id, revision, lineage }, wanted);
  return new Restore(base.clock, base.emit, attempt, wanted);
}

/** @param wanted asked when its turn has come: what waited before it may have changed everything */
async function goLive(
  context: Context,
  target: Omit<Order, "config" | "adopt">,
  wanted = () => true,
): Promise<void> {
  const { turn, fleet } = context;
  await turn.run(`${target.kind} ${target.release_id ?? target.release_path}`, async (signal) => {
    if (!wanted()) return;
    const order: Order = { ...target, config: context.config, adopt: () => {} };
    await deploy(fleet, order, UNTOLD, signal);
  });
}
