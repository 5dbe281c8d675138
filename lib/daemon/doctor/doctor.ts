/**
 * `doctor`: every check that the floors offer, for one configuration and, when there is one, a release.
 *
 * | the release that is looked at       | when                                        |
 * | ----------------------------------- | ------------------------------------------- |
 * | the one that is named               | a path is given                             |
 * | the live one, else the remembered   | no path, and there is one                   |
 * | none: its checks are left out, said | no path, and there never was one            |
 *
 * Invariant: looks and changes nothing, so it may run beside anything; a check that breaks does not
 * stop the others. A configuration that is invalid is the only finding, for all others need it.
 */

import { basename, join } from "@std/path";
import { plugins } from "../../../plugins/registry.ts";
import { serverOf } from "../../config/roadrunner/of.ts";
import { configuredPools } from "../../config/roadrunner/pools.ts";
import { read, readDotenv, type ReadRequest, type Sections } from "../../config/mod.ts";
import type { Config } from "../../config/config.ts";
import type { ControlClient } from "../../control/client.ts";
import type { Status } from "../../control/operations.ts";
import { advice, type Check, type Checked, fail, ok, runCheck } from "../../core/check.ts";
import { Failure } from "../../core/failure.ts";
import * as ofMachine from "../../os/checks.ts";
import type { Machine } from "../../os/system.ts";
import * as ofRelease from "../../release/checks.ts";
import { History } from "../../release/history.ts";
import { INITIAL } from "../../release/initial.ts";
import { stopBudget } from "../budget.ts";
import { inheritable } from "../environment.ts";
import { neighbourAt } from "../neighbour.ts";
import type { Paths } from "../paths.ts";
import * as ofDaemon from "./checks.ts";

/** What is looked at. */
export interface Examination {
  request: ReadRequest;
  sections: Sections;
  paths: Paths;
  client: ControlClient;
  machine: Machine;
  /** Directory of a release to come, absolute. */
  release_path?: string;
}

/** Runs all checks, one after the other, each told as soon as it is done. */
export async function* examine(examination: Examination): AsyncGenerator<Checked> {
  const { request, sections } = examination;
  const { config, problems } = await read(request, sections);
  yield await runCheck(configCheck(config, problems.length));
  if (config === undefined) return;
  for (const check of await checksOf(config, examination)) yield await runCheck(check);
}

function configCheck(config: Config | undefined, problems: number): Check {
  const title = "configuration";
  const run = () => {
    if (config === undefined) {
      const fix = "see `supervisor validate` for each of them";
      return fail(`${problems} ${problems === 1 ? "problem" : "problems"}`, fix);
    }
    if (config.warnings.length > 0) return advice(config.warnings.join("; "));
    return ok(`${config.file}, application ${config.application}`);
  };
  return { id: "config", title, run };
}

async function checksOf(config: Config, examination: Examination): Promise<Check[]> {
  const { paths, client, machine, request } = examination;
  const neighbour = await neighbourAt(client, config.application).catch((error) => {
    if (error instanceof Failure) return error;
    throw error;
  });
  const daemon = neighbour instanceof Failure ? undefined : neighbour;
  const { dotenv } = request;
  const env = dotenv === undefined ? request.env : { ...await readDotenv(dotenv), ...request.env };
  const history = new History(join(paths.state_dir, "state.json"), config.application);
  const inUse = daemon?.releases.filter(({ state }) => ["active", "draining"].includes(state))
    .map(({ release_path }) => release_path);
  return [
    ofDaemon.socketCheck(neighbour, paths),
    controlDirectory(config, paths, machine),
    ofMachine.directoryCheck("state_directory", "state directory", paths.state_dir),
    ofMachine.directoryCheck("log_directory", "log directory", paths.log_dir),
    ofMachine.spaceCheck([paths.state_dir, paths.log_dir]),
    ofDaemon.addressesCheck(config, daemon, machine),
    ofRelease.historyCheck(history, inUse),
    ofDaemon.leftoversCheck(daemon, paths, machine),
    ...releaseChecks(config, examination, history, daemon, inheritable(env)),
    ...plugins.filter(({ name }) => config.sections[name] !== undefined)
      .flatMap((plugin) => plugin.checks?.(config, { machine, state_dir: paths.state_dir }) ?? []),
    ofDaemon.budgetsCheck(config),
    ...(daemon === undefined
      ? []
      : [ofMachine.stopTimeCheck(daemon.pid, stopBudget(config), machine.clock)]),
    ...ofDaemon.takeoverCheck(config, request.env.PATH),
    ofMachine.limitsCheck(),
    ofMachine.clockCheck(),
    ofMachine.serviceManagerCheck(daemon?.pid),
  ];
}

/** The directory of the socket, as claim() would take it. @throws Failure for an unknown owner */
function controlDirectory({ control }: Config, paths: Paths, machine: Machine): Check {
  const [id, title] = ["control_directory", "directory of the socket"];
  const run = () => {
    if (control.group !== undefined) machine.groupId(control.group);
    const owner = control.owner === undefined ? undefined : machine.user(control.owner).uid;
    const foreign = control.socket !== undefined;
    return ofMachine.directoryCheck(id, title, paths.runtime_dir, { foreign, owner }).run();
  };
  return { id, title, run };
}

function releaseChecks(
  config: Config,
  { machine, release_path }: Examination,
  history: History,
  daemon: Status | undefined,
  env: Record<string, string>,
): Check[] {
  const path = release_path ?? knownPath(config, history, daemon);
  const release = { release_path: path ?? config.dir, ...named(path) };
  const ground: ofRelease.ReleaseGround = { config, machine, env, release };
  const ports = ofRelease.portsCheck(
    ground,
    daemon !== undefined && daemon.active_release_id !== null,
  );
  if (path !== undefined) {
    return [ofRelease.releaseCheck(path), ofRelease.programsCheck(ground), ports];
  }
  const detail = "not looked at: no release was ever live";
  const run = () => advice(detail, "name one with --release-path");
  return [{ id: "programs", title: "programs", run }, ports];
}

/** What a release of that directory would be called, when nobody names it. */
function named(path: string | undefined): { release_id: string; revision: string } {
  const name = path === undefined ? INITIAL : basename(path);
  return { release_id: name, revision: name };
}

/** Where the live release lies, or the one to be brought back, or workers that need none. */
function knownPath(
  config: Config,
  history: History,
  daemon: Status | undefined,
): string | undefined {
  const live = daemon?.releases.find(({ release_id }) => release_id === daemon.active_release_id);
  if (live !== undefined) return live.release_path;
  try {
    const remembered = history.read().live;
    if (remembered !== null) return remembered.release_path;
  } catch (error) {
    // The check of the history tells it.
    if (!(error instanceof Failure)) throw error;
  }
  const workersOnly = config.processes.length === 0 && serverOf(config).command !== undefined;
  return workersOnly && configuredPools(config).length > 0 ? config.dir : undefined;
}
