/**
 * What `doctor` asks where a daemon is or shall be: its socket, its addresses, what was left of an
 * earlier one, the times it is given, and the tools of a takeover.
 *
 * Invariant: talks to a daemon once; every check works with what that one look said.
 */

import { type Listener, listenersOf, shown } from "../../config/listeners.ts";
import type { Config } from "../../config/config.ts";
import type { Status } from "../../control/operations.ts";
import { advice, type Check, fail, type Finding, ok, together } from "../../core/check.ts";
import { formatDuration } from "../../core/duration.ts";
import { Failure } from "../../core/failure.ts";
import { socketFinding } from "../../os/checks.ts";
import { findProgram } from "../../os/program.ts";
import type { Machine } from "../../os/system.ts";
import { leftOf } from "../../release/orphans.ts";
import { stopBudget } from "../budget.ts";
import type { Paths } from "../paths.ts";
import { bookOf } from "../recover.ts";

/** What a look at the control socket gave. */
export type Neighbour = Status | undefined | Failure;

/** Who is at the control socket. */
export function socketCheck(neighbour: Neighbour, { socket }: Paths): Check {
  return {
    id: "control_socket",
    title: "control socket",
    run() {
      if (neighbour instanceof Failure) throw neighbour;
      if (neighbour === undefined) return ok(`${socket} is free`);
      return ok(`the daemon answers (pid ${neighbour.pid}, version ${neighbour.version})`);
    },
  };
}

/** Whether everything can listen where the configuration says. */
export function addressesCheck(
  config: Config,
  daemon: Status | undefined,
  machine: Machine,
): Check {
  return {
    id: "addresses",
    title: "addresses",
    run() {
      // The control socket has a check of its own.
      const listeners = listenersOf(config).filter(({ path }) => path[0] !== "control");
      const findings = listeners.map((listener) => addressFinding(listener, daemon, machine));
      const places = listeners.map(({ at }) => shown(at));
      return together(findings, places.length === 0 ? "none" : places.join(", "));
    },
  };
}

function addressFinding(
  { path, at }: Listener,
  daemon: Status | undefined,
  machine: Machine,
): Finding {
  const place = `${path.join(".")} ${shown(at)}`;
  if ("path" in at) return socketFinding(place, at.path, daemon !== undefined);
  if (at.port === 0) return ok(place);
  const state = machine.portState(at.host, at.port);
  if (state === "free") return ok(place);
  if (state !== "in_use") return fail(`${place}: ${state.refused}`, "choose another address");
  const pids = machine.listeners(at.port).flatMap(({ pids }) => pids);
  if (daemon !== undefined && (pids.length === 0 || pids.includes(daemon.pid))) return ok(place);
  const holder = pids.map((pid) => `pid ${pid} ${machine.row(pid)?.command ?? ""}`.trim());
  const who = holder.length === 0 ? "a program of another user" : holder.join(", ");
  return fail(`${place} is taken by ${who}`, "stop that program, or choose another address");
}

/** What a dead daemon left. */
export function leftoversCheck(daemon: Status | undefined, paths: Paths, machine: Machine): Check {
  return {
    id: "leftovers",
    title: "left by a dead daemon",
    run() {
      if (daemon !== undefined) {
        if (daemon.orphans.length === 0) return ok("nothing");
        const names = daemon.orphans.map(({ id, pid }) => `${id} (pid ${pid})`).join(", ");
        return advice(`the daemon still has to stop ${names}`, "look at `supervisor events`");
      }
      const left = leftOf(bookOf(paths), machine);
      if (left.length === 0) return ok("nothing");
      const names = left.map(({ instance, pid }) => `${instance} (pid ${pid})`).join(", ");
      const fix = "the next serve stops them, or `supervisor recover --force` does";
      return advice(`${names} still runs`, fix);
    },
  };
}

/** Whether times nest: service manager, daemon, drain, process. */
export function budgetsCheck(config: Config): Check {
  return {
    id: "budgets",
    title: "time to stop",
    run() {
      const drain = config.proxy?.drain_timeout;
      const findings = config.processes.flatMap(({ id, policy, graceful_stop, lifecycle }) => {
        if (graceful_stop === "indefinite") {
          const fix = `set processes.${id}.graceful_stop, if its stop may be cut`;
          return [advice(`${id} may take for ever to stop, and a shutdown with it`, fix)];
        }
        if (policy !== "proxied" || drain === undefined) return [];
        const own = Math.max(graceful_stop, lifecycle.drain_timeout);
        if (own <= drain) return [];
        const longer = `${id} may take ${formatDuration(own)} to stop, its drain`;
        const fix = "raise proxy.drain_timeout, or lower graceful_stop and drain_timeout of it";
        return [advice(`${longer} only ${formatDuration(drain)}`, fix)];
      });
      const whole = formatDuration(stopBudget(config));
      return together(findings, `up to ${whole}: the least for TimeoutStopSec of a unit`);
    },
  };
}

/** Whether the tools are there by which `predeploy-cleanup` takes over. */
export function takeoverCheck({ legacy_takeover }: Config, path: string | undefined): Check[] {
  if (legacy_takeover === undefined) return [];
  const { screens, supervisord, pm2 } = legacy_takeover;
  const tools = [
    ...(screens.length > 0 ? ["screen"] : []),
    ...(supervisord.length > 0 ? ["supervisorctl"] : []),
    ...(pm2.length > 0 ? ["pm2"] : []),
  ];
  return [{
    id: "takeover",
    title: "tools of predeploy-cleanup",
    run: () =>
      together(
        tools.map((tool) => {
          try {
            return ok(findProgram(tool, path, "/", { argv: [tool], cwd: "/" }));
          } catch (error) {
            if (!(error instanceof Failure)) throw error;
            return advice(
              `${tool} is not in PATH`,
              "install it, or take it out of legacy_takeover",
            );
          }
        }),
        tools.length === 0 ? "none needed" : tools.join(", "),
      ),
  }];
}
