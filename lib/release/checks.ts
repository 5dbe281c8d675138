/**
 * What `doctor` asks of a release: its directory, its programs as whoever runs them, its ports beside
 * those of the release before it, and the releases that are remembered.
 *
 * Invariant: nothing is started; a command of a shell is looked at as far as its first word is plain.
 */

import { dirname, isAbsolute, join } from "@std/path";
import type { Config, ProcessConfig } from "../config/config.ts";
import { serverOf } from "../config/roadrunner/of.ts";
import { configuredPools } from "../config/roadrunner/pools.ts";
import { advice, type Check, fail, type Finding, ok, together } from "../core/check.ts";
import { Failure } from "../core/failure.ts";
import { checkDirectory, findProgram, interpreterOf } from "../os/program.ts";
import { reasonOf } from "../os/reason.ts";
import { blockedFor } from "../os/rights.ts";
import type { Identity, Machine } from "../os/system.ts";
import type { History } from "./history.ts";
import { userNamed, workerUser } from "./identity.ts";
import { renderProcess, type Source } from "./render.ts";
import { wordsOf } from "./render_worker.ts";

/** Ports of a range that are tried. */
const TRIED = 200;

/** Releases that deploy tools keep, at least. */
const KEPT = 5;

/** Words that a shell itself understands. */
const SHELLS_OWN = new Set(
  (". : [ alias break case cd continue echo eval exec exit export false for getopts if kill printf " +
    "pwd read return set shift test trap true type ulimit umask unset until wait while").split(" "),
);

/** A first word that is a program and nothing else. */
const PLAIN = /^[\w./@+-]+$/;

/** What checks of a release look at. */
export interface ReleaseGround {
  config: Config;
  machine: Machine;
  /** What programs inherit. */
  env: Readonly<Record<string, string>>;
  release: Source["release"];
}

/** A directory that is said to be a release's. */
export function releaseCheck(path: string): Check {
  return {
    id: "release_path",
    title: "release path",
    run: () => {
      const wrong = noDirectory(path);
      if (wrong !== undefined) return fail(`"${path}" ${wrong}`, "name the release's directory");
      const cleaned = /^\/(?:var\/)?tmp\//.test(path);
      if (cleaned) return advice(`"${path}" lies where old files are deleted`, "move it elsewhere");
      return ok(path);
    },
  };
}

/** The file that remembers releases, and whether those can still be run. */
export function historyCheck(history: History, running: readonly string[] | undefined): Check {
  return {
    id: "releases",
    title: "remembered releases",
    run() {
      const { live, releases } = history.read();
      const needed = running ?? (live === null ? [] : [live.release_path]);
      const fix = "keep the directory while the release is live: it is needed for every restart";
      const findings: Finding[] = [...new Set(needed)].flatMap((path) => {
        const wrong = noDirectory(path);
        return wrong === undefined ? [] : [fail(`"${path}" is in use, but ${wrong}`, fix)];
      });
      findings.push(...[...new Set(needed)].flatMap(endangered));
      const lost = releases.filter(({ release_path }) =>
        !needed.includes(release_path) && noDirectory(release_path) !== undefined
      );
      if (lost.length > 0) {
        const names = lost.map(({ release_id }) => release_id).join(", ");
        findings.push(advice(`a rollback to ${names} would fail: the directory is gone`));
      }
      return together(
        findings,
        `${releases.length} remembered, live: ${live?.release_id ?? "none"}`,
      );
    },
  };
}

/** Why a directory that is in use may soon be deleted by somebody who does not know that it is. */
function endangered(path: string): Finding[] {
  const fix = "keep it while the release is live: it is needed for every restart";
  const age = madeAt(path);
  const beside = siblingsOf(path).map(madeAt);
  // Tools that deploy keep the newest few.
  if (age === undefined || beside.length < KEPT) return [];
  if (beside.some((other) => other !== undefined && other <= age)) return [];
  const oldest = `"${path}" is in use, and the oldest of ${beside.length + 1} beside each other`;
  return [advice(`${oldest}: whoever keeps only the newest deletes it next`, fix)];
}

/** Other directories in the same one. */
function siblingsOf(path: string): string[] {
  const parent = dirname(path);
  try {
    return [...Deno.readDirSync(parent)].filter(({ isDirectory }) => isDirectory)
      .map(({ name }) => join(parent, name)).filter((other) => other !== path);
  } catch {
    return []; // it may not be listed: then nothing is known of them
  }
}

function madeAt(path: string): number | undefined {
  try {
    return Deno.statSync(path).mtime?.getTime();
  } catch {
    return undefined; // gone meanwhile
  }
}

/** Users, directories and programs of all processes and workers. */
export function programsCheck(ground: ReleaseGround): Check {
  return {
    id: "programs",
    title: "programs",
    run() {
      const { processes } = ground.config;
      const findings = [
        ...processes.map((process) => guarded(process.id, () => checkProcess(process, ground))),
        ...workerPrograms(ground),
      ];
      return together(findings, `${findings.length} found, with directory and user`);
    },
  };
}

function guarded(id: string, look: () => Finding): Finding {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const named = error.message.includes(`"${id}"`) ? error.message : `${id}: ${error.message}`;
    return fail(named, error.fix);
  }
}

function checkProcess(process: ProcessConfig, { config, machine, env, release }: ReleaseGround) {
  const { id, user } = process;
  const identity = identified(id, user, machine);
  const ports = new Map(
    config.processes.flatMap(({ id, port }): [string, number][] =>
      port === undefined ? [] : [[id, port.from]]
    ),
  );
  const copy = { index: 0, count: process.replicas, port: process.port?.from, identity };
  const { argv, cwd, env: own } = renderProcess(process, copy, { config, release, env, ports });
  checkDirectory(cwd, { argv, cwd, user });
  const name = typeof process.command === "string" ? firstWord(argv[2]) : argv[0];
  return name === undefined ? ok(id) : runnable(id, name, { argv, cwd, user }, own.PATH, identity);
}

/** Who runs it; undefined: we do. @throws Failure */
function identified(id: string, user: string | undefined, machine: Machine): Identity | undefined {
  if (user === undefined) return undefined;
  if (Deno.uid() === 0) return userNamed(user, id, machine);
  const message = `${id} runs as "${user}", for which root is needed`;
  throw new Failure(message, { fix: "run as root, or drop user" });
}

/** Whether a program is there with its interpreter, and may be executed by whoever runs it. */
function runnable(
  id: string,
  name: string,
  about: { argv: string[]; cwd: string; user: string | undefined },
  path: string | undefined,
  identity: Identity | undefined,
): Finding {
  const file = findProgram(name, path, about.cwd, about);
  const interpreter = interpreterOf(file);
  if (interpreter !== undefined && noFile(interpreter)) {
    return fail(`${id}: "${file}" wants "${interpreter}", which is not there`, "install it");
  }
  const blocked = identity && blockedFor(identity, file);
  if (blocked === undefined) return ok(id);
  return fail(
    `${id}: user "${about.user}" may not execute "${blocked}"`,
    "let that user pass (chmod, chown)",
  );
}

/** The program that a shell would start first, when that is plain to see. */
function firstWord(command: string): string | undefined {
  const words = command.trim().split(/\s+/).filter((word) => word !== "exec");
  const first = words.find((word) => !/^\w+=[\w./:@,-]*$/.test(word));
  return first === undefined || SHELLS_OWN.has(first) || !PLAIN.test(first) ? undefined : first;
}

function workerPrograms(ground: ReleaseGround): Finding[] {
  const { config } = ground;
  const { command, on_init } = serverOf(config);
  const pools = configuredPools(config);
  const user = workerUser(config);
  const workers = pools.map(({ name, settings, field }) => {
    const section = settings.command === undefined ? "server" : field;
    return workerProgram({ id: name, section }, settings.command ?? command, user, ground);
  });
  if (pools.length === 0 || on_init === undefined) return workers;
  const owner = { id: "on_init", section: "server.on_init" };
  return [workerProgram(owner, on_init.command, on_init.user, ground), ...workers];
}

function workerProgram(
  owner: { id: string; section: string },
  command: string | string[] | undefined,
  user: string | undefined,
  { env, machine, release }: ReleaseGround,
): Finding {
  const { id, section } = owner;
  return guarded(id, () => {
    const identity = identified(id, user, machine);
    const argv = wordsOf(command, owner);
    if (argv[0].includes("{{")) return ok(id);
    const cwd = release.release_path;
    const found = runnable(id, argv[0], { argv, cwd, user }, env.PATH, identity);
    const script = argv.slice(1).find((word) => !word.startsWith("-"));
    if (found.level !== "ok" || script === undefined || !/\.\w+$/.test(script)) return found;
    const file = isAbsolute(script) ? script : join(cwd, script);
    if (script.includes("{{") || !noFile(file)) return found;
    return fail(`${id}: "${file}" is not there`, `correct ${section}.command`);
  });
}

/** Ports of two releases beside each other. @param running one of them has its ports already */
export function portsCheck({ config, machine }: ReleaseGround, running: boolean): Check {
  const host = config.proxy?.upstream_host ?? "127.0.0.1";
  return {
    id: "ports",
    title: "ports for two releases",
    run() {
      const ranged = config.processes.filter(({ port }) => port !== undefined && port.to > 0);
      return together(
        ranged.map((process) => checkRange(process, host, machine, running)),
        ranged.length === 0 ? "none are fixed" : "enough",
      );
    },
  };
}

function checkRange(process: ProcessConfig, host: string, machine: Machine, running: boolean) {
  const { id, policy, replicas } = process;
  const { from, to } = process.port!;
  // Singletons and services free theirs before their successors start.
  const overlapping = policy === "proxied" || policy === "companion";
  const size = to - from + 1;
  const needed = overlapping ? 2 * replicas : replicas;
  const range = from === to ? `the one port ${from}` : `the ${size} ports ${from}-${to}`;
  const fix = `give processes.${id}.port a range of ${needed} or more`;
  if (size < needed) return fail(`${id} needs ${needed} ports for a deploy, not ${range}`, fix);
  const missing = running ? needed - replicas : needed;
  let free = 0;
  for (let port = from; port <= to && port < from + TRIED && free < missing; port++) {
    const state = machine.portState(host, port);
    if (state === "free") free++;
    else if (state !== "in_use") return fail(`${id} cannot listen on ${host}: ${state.refused}`);
  }
  if (free >= missing || size > TRIED) return ok(id);
  return fail(`${id} needs ${missing} free ports, but of ${range} only ${free} are`, fix);
}

function noDirectory(path: string): string | undefined {
  try {
    return Deno.statSync(path).isDirectory ? undefined : "is not a directory";
  } catch (error) {
    return `cannot be used: ${reasonOf(error)}`;
  }
}

function noFile(path: string): boolean {
  try {
    return !Deno.statSync(path).isFile;
  } catch {
    return true; // whatever the reason, it cannot be run
  }
}
