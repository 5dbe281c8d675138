/**
 * What `doctor` asks of the machine: directories, space, limits, clock, service manager.
 *
 * Invariant: only looks; nothing is created, and nothing that is missing is an error unless a daemon
 * could not make it.
 */

import { statfsSync } from "node:fs";
import { dirname } from "@std/path";
import { advice, type Check, fail, type Finding, ok, together } from "../core/check.ts";
import type { Clock } from "../core/clock.ts";
import { formatDuration } from "../core/duration.ts";
import { Failure } from "../core/failure.ts";
import { formatSize } from "../core/size.ts";
import { checkPrivateDir } from "./dirs.ts";
import { cString, libc } from "./ffi.ts";
import { fileLimit, processLimit } from "./limits.ts";
import { codeOf, reasonOf } from "./reason.ts";
import { stopTimeOf, unitOf } from "./service_unit.ts";
import { listensAt } from "./unix_sockets.ts";

/** Space below which logs and state are in danger, bytes. */
const MARGIN = 512 * 1024 * 1024;

/** Files a daemon can hold open before it is advised to get more: two for every request. */
const FILES = 8192;

/** Processes and threads a user should be able to have. */
const PROCESSES = 1024;

/** What adjtimex(2) returns when nothing keeps the clock right. */
const TIME_ERROR = 5;

/** sizeof(struct timex) on 64-bit Linux. */
const TIMEX_SIZE = 208;

const W_OK = 2;
const X_OK = 1;

/** Whose a directory may be. */
export interface DirectoryTerms {
  /** Somebody else prepared it: it need not be private. */
  foreign?: boolean;
  /** An owner accepted besides ourselves. */
  owner?: number;
}

/** A directory of ours: there and private, or to be made. */
export function directoryCheck(
  id: string,
  title: string,
  path: string,
  { foreign = false, owner }: DirectoryTerms = {},
): Check {
  return {
    id,
    title,
    run() {
      const parent = existing(path);
      if (libc().access(cString(parent), W_OK | X_OK) !== 0) {
        const fix = `let this user write in "${parent}", or choose another directory`;
        return fail(`this user may not write in "${parent}"`, fix);
      }
      if (parent !== path) return ok(`${path} (will be made)`);
      if (!foreign) checkPrivateDir(path, { owner });
      return ok(path);
    },
  };
}

/**
 * A place for a Unix socket: its directory is there and ours to write in, and nobody else is in it.
 * @param place how to call it
 * @param taken by a daemon of ours that is asked beside this: who listens there is that one
 */
export function socketFinding(place: string, path: string, taken: boolean): Finding {
  const directory = dirname(path);
  if (libc().access(cString(directory), W_OK | X_OK) !== 0) {
    const fix = `make "${directory}" for this user, or choose another path`;
    return fail(`${place}: this user may not write in "${directory}", or it is not there`, fix);
  }
  try {
    if (!Deno.lstatSync(path).isSocket) {
      const fix = "move it away, or choose another path";
      return fail(`${place}: something that is not a socket lies there`, fix);
    }
  } catch (error) {
    if (codeOf(error) === "ENOENT") return ok(place);
    return fail(`${place} cannot be looked at: ${reasonOf(error)}`, "choose another path");
  }
  if (taken || !listensAt(path)) return ok(place);
  const fix = "stop that program, or choose another path";
  return fail(`${place}: another program listens there`, fix);
}

/** Space for what is written there. */
export function spaceCheck(paths: readonly string[]): Check {
  return {
    id: "disk",
    title: "disk space",
    run: () => together([...new Set(paths.map(existing))].map(space), freeOf(paths[0])),
  };
}

function space(path: string): Finding {
  const { bavail, bsize, ffree, files } = statfsSync(path);
  const free = bavail * bsize;
  const fix = `free space on the file system of "${path}"`;
  if (free < MARGIN) return advice(`"${path}" has ${formatSize(free)} left`, fix);
  // File systems without a fixed number of files say 0 of 0.
  if (files > 0 && ffree / files < 0.02) {
    return advice(`"${path}" has room for ${ffree} more files only`, fix);
  }
  return ok(path);
}

function freeOf(path: string): string {
  const { bavail, bsize } = statfsSync(existing(path));
  return `${formatSize(bavail * bsize)} left`;
}

/** How many files and processes this user may have. */
export function limitsCheck(): Check {
  return {
    id: "limits",
    title: "limits",
    run() {
      const [files, processes] = [fileLimit(), processLimit()];
      const findings: Finding[] = [];
      if (files !== undefined && files.hard < FILES) {
        const fix = "raise LimitNOFILE in the unit, or nofile in limits.conf";
        findings.push(advice(`at most ${files.hard} open files: two for every request`, fix));
      }
      if (processes !== undefined && processes.soft < PROCESSES) {
        const fix = "raise LimitNPROC in the unit, or nproc in limits.conf";
        findings.push(advice(`at most ${processes.soft} processes of this user`, fix));
      }
      return together(findings, `${files?.hard ?? "unlimited"} open files`);
    },
  };
}

/** Whether something keeps the clock right. */
export function clockCheck(): Check {
  return {
    id: "clock",
    title: "clock",
    run() {
      // Modes 0: only asks.
      const state = libc().adjtimex(new Uint8Array(TIMEX_SIZE));
      if (state < 0) return ok("not to be asked here");
      if (state !== TIME_ERROR) return ok("synchronised");
      const detail = "nothing synchronises the clock: stamps in logs will drift";
      return advice(detail, "run chrony or systemd-timesyncd on this machine or its host");
    },
  };
}

/**
 * Whether something starts the daemon again.
 * @param daemon its pid, when it runs
 */
export function serviceManagerCheck(daemon: number | undefined): Check {
  return {
    id: "service_manager",
    title: "service manager",
    run() {
      const unit = daemon === undefined ? undefined : unitOf(daemon);
      if (unit !== undefined) return ok(unit);
      if (existing("/run/systemd/system") !== "/run/systemd/system") {
        return advice("there is none: nothing starts the daemon after a reboot");
      }
      if (daemon === undefined) return ok("systemd");
      const detail = "the daemon is not a service: nothing starts it after a crash or a reboot";
      return advice(detail, "write a unit with ExecStart=supervisor serve and Type=notify");
    },
  };
}

/**
 * Whether systemd waits for a daemon to stop, when it is one of its services.
 * @param daemon its pid @param needed what it may take, ms
 */
export function stopTimeCheck(daemon: number, needed: number, clock: Clock): Check {
  return {
    id: "unit_stop",
    title: "time the service manager gives",
    async run() {
      const unit = unitOf(daemon);
      const given = unit === undefined ? undefined : await stopTimeOf(unit, clock);
      if (given === undefined) return ok("nobody counts it");
      if (given === Infinity) return ok(`as long as ${unit} asks for`);
      if (given >= needed) return ok(`${unit} has ${formatDuration(Math.round(given))}`);
      const [has, wants] = [given, needed].map((ms) => formatDuration(Math.round(ms)));
      const detail = `${unit} is killed after ${has}, but may take ${wants} to stop`;
      return advice(detail, "write Type=notify and TimeoutStopSec as `supervisor systemd` prints");
    },
  };
}

/** The path, or the nearest directory above it that is there. */
function existing(path: string): string {
  for (let at = path;; at = dirname(at)) {
    try {
      Deno.statSync(at);
      return at;
    } catch (error) {
      // Not there, or not to be seen: what is above it decides.
      if (at === dirname(at)) throw new Failure(`cannot look at "${path}": ${reasonOf(error)}`);
    }
  }
}
