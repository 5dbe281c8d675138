/**
 * The first handover from an earlier setup to us: whatever would stand in the way of a deploy is
 * stopped, unless a release of ours is live already.
 *
 * | what is so                                        | what is done                              |
 * | ------------------------------------------------- | ----------------------------------------- |
 * | a daemon with a live release at this address      | nothing                                   |
 * | another living daemon of this application         | Failure, exit 5; told to: it is shut down |
 * | a daemon of another application, or a silent one  | Failure                                   |
 * | none                                              | our own leftovers, then the earlier setup |
 *
 * Invariant: stops nothing beside a living daemon: from the leftovers on it holds the locks of one.
 */

import { join } from "@std/path";
import type { Config, LegacyTakeover } from "../config/config.ts";
import { PROXY } from "../config/defaults.ts";
import { httpOf } from "../config/roadrunner/of.ts";
import type { ControlClient } from "../control/client.ts";
import type { Status } from "../control/operations.ts";
import { within } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Exit, Failure, messageOf } from "../core/failure.ts";
import { VERSION } from "../core/version.ts";
import { type Stranger, type Strangers, strangers } from "../os/strangers.ts";
import type { Machine } from "../os/system.ts";
import { runTool } from "../os/tool.ts";
import { planTakeover, type TakenOver, takeOver } from "../release/takeover.ts";
import { stopBudget } from "./budget.ts";
import { standIn } from "./claim.ts";
import { neighbourAt } from "./neighbour.ts";
import type { Paths } from "./paths.ts";
import { findLeft, type Left, stopLeft } from "./recover.ts";

/** How long the program of a release may take to tell its version, milliseconds. */
const VERSION_TIME = 10_000;

/** What a daemon gets beyond its own budget to be gone, milliseconds. */
const SHUTDOWN_MARGIN = 30_000;

/** What is to be cleaned up, and how. */
export interface CleanupOrder {
  config: Config;
  paths: Paths;
  machine: Machine;
  client: ControlClient;
  /** Of whoever asks, for the tools that are run. */
  env: Readonly<Record<string, string>>;
  /** Directory of the release to come. */
  release_path?: string;
  stop_daemon: boolean;
  dry_run: boolean;
}

/** What was done; with dry_run: what would be. */
export interface Cleanup {
  dry_run: boolean;
  /** `active`: a release is live, nothing was touched. */
  daemon: "active" | "stopped" | "none";
  /** The program in the release, when it is another than the one that runs. */
  other_version?: string;
  leftovers: Left[];
  taken_over: TakenOver;
}

const NOTHING: TakenOver = { keepers: [], screens: [], processes: [] };

const NO_TAKEOVER: LegacyTakeover = {
  screens: [],
  supervisord: [],
  pm2: [],
  processes: [],
  force_stop_timeout: 0,
};

/** @throws Failure, see above */
export async function cleanUp(order: CleanupOrder): Promise<Cleanup> {
  const { config, client, machine, dry_run } = order;
  const status = await neighbourAt(client, config.application);
  const other_version = await otherVersion(order, status?.version ?? VERSION);
  const said = { dry_run, ...(other_version === undefined ? {} : { other_version }) };
  const refused = status === undefined ? undefined : whyNotActive(status, config);
  if (status !== undefined && refused === undefined) {
    return { ...said, daemon: "active", leftovers: [], taken_over: NOTHING };
  }
  if (status !== undefined && !order.stop_daemon) {
    throw new Failure(`a daemon (pid ${status.pid}) is alive, but ${refused}`, {
      exit: Exit.running,
      fix: "add --stop-daemon to shut it down, or `supervisor reload` to let it take the change on",
      detail: { pid: status.pid, socket: client.path },
    });
  }
  const legacy = config.legacy_takeover ?? NO_TAKEOVER;
  const { clock } = machine;
  const ground = { clock, strangers: strangers(clock), env: order.env };
  const daemon = status === undefined ? "none" : "stopped";
  if (dry_run) {
    // What a living daemon runs is its own to stop.
    const leftovers = status === undefined ? findLeft(order.paths, machine) : [];
    const seen = status === undefined ? ground.strangers : without(ground.strangers, status.pid);
    const taken_over = await planTakeover(legacy, { ...ground, strangers: seen });
    return { ...said, daemon, leftovers, taken_over };
  }
  if (status !== undefined) await shutDown(order);
  const free = standIn(order.paths, machine);
  try {
    const grace = config.proxy?.force_stop_timeout ?? PROXY.force_stop_timeout;
    const leftovers = await stopLeft(order.paths, machine, grace);
    return { ...said, daemon, leftovers, taken_over: await takeOver(legacy, ground) };
  } finally {
    free();
  }
}

/** Why a living daemon is not the one that a deploy can go on with; undefined: it is. */
function whyNotActive(status: Status, config: Config): string | undefined {
  const { proxy } = config;
  if (status.state !== "running") return `it is ${status.state}`;
  if (status.active_release_id === null) return "no release is live";
  const wrong = whyWorkersElsewhere(status, config);
  if (wrong !== undefined) return wrong;
  if (proxy === undefined && status.proxy === undefined) return undefined;
  const wanted = proxy === undefined
    ? "no proxy"
    : `${proxy.address.host}:${proxy.address.port}, upstream ${proxy.upstream_host}`;
  const has = status.proxy;
  const actual = has === undefined ? "no proxy" : `${has.address}, upstream ${has.upstream_host}`;
  const same = proxy !== undefined && has !== undefined &&
    sameHost(proxy.address.host, has.host) && proxy.upstream_host === has.upstream_host &&
    [0, has.port].includes(proxy.address.port);
  return same ? undefined : `it serves ${actual}; the configuration says ${wanted}`;
}

/** The same for the address of http workers; the interface may be printed in another way. */
function whyWorkersElsewhere({ intakes }: Status, config: Config): string | undefined {
  const at = httpOf(config)?.address;
  if (at === undefined || ("port" in at && at.port === 0)) return undefined;
  const end = "path" in at ? at.path : `:${at.port}`;
  const served = intakes.find(({ name }) => name === "http")?.address ?? "";
  if (served.split(", ").some((address) => address.endsWith(end))) return undefined;
  return `its http workers serve "${served}"; the configuration says "${end}"`;
}

/** A name that was looked up is shown by the daemon as the address it got. */
function sameHost(wanted: string, actual: string): boolean {
  return wanted === actual || (wanted === "localhost" && ["127.0.0.1", "::1"].includes(actual));
}

/** What the release's own program says, when it is not what runs. */
async function otherVersion(
  { release_path, machine }: CleanupOrder,
  ours: string,
): Promise<string | undefined> {
  if (release_path === undefined) return undefined;
  const program = join(release_path, "supervisor");
  try {
    if (!Deno.statSync(program).isFile) return undefined;
    const end = await runTool([program, "version", "--json"], VERSION_TIME, machine.clock);
    const { version } = JSON.parse(end?.stdout ?? "");
    return version === ours ? undefined : String(version);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    // It is only told, and does not stop the handover.
    return `unknown (${messageOf(error)})`;
  }
}

async function shutDown({ client, config, machine }: CleanupOrder): Promise<void> {
  const limit = stopBudget(config) + SHUTDOWN_MARGIN;
  const ended = await within(machine.clock, limit, client.shutdown());
  if (ended.done) return;
  throw new Failure(`the daemon did not end within ${formatDuration(limit)}`, {
    exit: Exit.running,
    fix: "look at `supervisor status` for what it waits for",
  });
}

/** The strangers without what descends from `pid`. */
function without(all: Strangers, pid: number): Strangers {
  const below = (who: Stranger | undefined, table: Map<number, Stranger>): boolean => {
    for (let depth = 0; who !== undefined && depth < table.size; depth++) {
      if (who.pid === pid) return true;
      who = table.get(who.ppid);
    }
    return false;
  };
  return {
    ...all,
    table() {
      const table = all.table();
      return new Map([...table].filter(([, who]) => !below(who, table)));
    },
  };
}
