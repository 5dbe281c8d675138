/**
 * Starts a daemon that outlives the command, or finds the one that runs.
 *
 * | what happens                            | what the caller gets                              |
 * | --------------------------------------- | ------------------------------------------------- |
 * | the daemon says that it is ready        | its pid, socket and addresses                     |
 * | the daemon says why it is not           | the daemon's own Failure and exit code            |
 * | it ends without a word                  | Failure: how it ended, the end of its log         |
 * | one runs already (lock held)            | Failure, exit 5; with ensure: that one, once up   |
 * | Ctrl-C                                  | the daemon is told to end; then as above          |
 *
 * Invariant: when this returns, a daemon answers; when it throws, none that we started is left.
 */

import { join, resolve } from "@std/path";
import { freshHistory, nextWait, type WaitPolicy } from "../core/backoff.ts";
import { sleep, within } from "../core/clock.ts";
import { Exit, type ExitCode, Failure, failureFromJson } from "../core/failure.ts";
import type { Ready } from "../daemon/options.ts";
import { detach, type Detached } from "../os/detach.ts";
import { makePrivateDir } from "../os/dirs.ts";
import { logTail, prepareLog } from "../os/log_file.ts";
import type { Call } from "./command.ts";
import { ourselves } from "./ourselves.ts";
import { homeOf } from "./place.ts";

/**
 * Says to the new process that its parent waits for its first line; the value is the file that its
 * standard error leads to, absolute.
 */
export const DETACHED = "SUPERVISOR_DETACHED";

/** How long --ensure waits for a daemon that another has just started, milliseconds. */
const ENSURE_TIME = 60_000;

/** How often it looks. */
const LOOKS: WaitPolicy = { delay: 50, backoff_factor: 2, max_delay: 1000 };

/** How long a daemon that said why it cannot run may take to end, milliseconds. */
const END_TIME = 30_000;

/** Lines of the log shown of a daemon that ended without a word. */
const LOG_LINES = 20;

/** A daemon that answers. */
export interface Started extends Ready {
  already_running: boolean;
  log_file?: string;
}

/** What of the command line goes on to the daemon. */
export interface StartOptions {
  /** One that runs already is what was wanted. */
  ensure: boolean;
  /** Absolute. */
  log_file?: string;
  /** More words for `serve`. */
  args: string[];
}

/** Makes sure that a daemon runs, for deploy. @throws Failure */
export async function ensureDaemon(call: Call): Promise<void> {
  const started = await start(call, { ensure: true, args: [] });
  if (!started.already_running) await call.out.talk(`started the daemon: pid ${started.pid}\n`);
}

/** Starts a daemon in a session of its own. @throws Failure */
export async function start(call: Call, options: StartOptions): Promise<Started> {
  const { clock } = call;
  const until = clock.now() + ENSURE_TIME;
  const history = freshHistory();
  while (true) {
    const running = options.ensure ? await answering(call) : undefined;
    if (running !== undefined) return running;
    try {
      return await launch(call, options);
    } catch (error) {
      // Somebody else was faster: theirs is as good, as soon as it answers.
      const lost = error instanceof Failure && error.exit === Exit.running;
      if (!options.ensure || !lost || clock.now() > until) throw error;
    }
    await sleep(clock, nextWait(LOOKS, history));
  }
}

/** The daemon that answers at our place; undefined: none. */
async function answering(call: Call): Promise<Started | undefined> {
  const { identity } = homeOf(await call.place());
  const client = await call.client();
  const status = await client.status().catch((error) => {
    // Whether it may be started is for the start to find out; it says why not.
    if (error instanceof Failure && error.exit === Exit.noDaemon) return undefined;
    throw error;
  });
  if (status === undefined) return undefined;
  if (status.application !== identity.application) {
    throw new Failure(
      `the socket "${client.path}" belongs to a daemon of "${status.application}" (pid ${status.pid})`,
      { exit: Exit.running, fix: "give this application a control.socket of its own" },
    );
  }
  return {
    ready: true,
    pid: status.pid,
    socket: client.path,
    addresses: status.proxy === undefined ? [] : [status.proxy.address],
    active_release_id: status.active_release_id,
    already_running: true,
  };
}

async function launch(call: Call, options: StartOptions): Promise<Started> {
  const { request, paths } = homeOf(await call.place());
  const log_file = options.log_file ?? join(paths.log_dir, "daemon.log");
  // First, or it would be made on the way to the log, and readable for everybody.
  if (options.log_file === undefined) makePrivateDir(paths.state_dir);
  const logged = prepareLog(log_file, options.log_file === undefined);
  const argv = [
    ...ourselves(),
    "serve",
    ...["--config", resolve(request.file)],
    ...(options.log_file === undefined ? [] : ["--log-file", log_file]),
    ...request.overrides.flatMap((override) => ["--override", override]),
    ...(request.dotenv === undefined ? [] : ["--dotenv", request.dotenv]),
    ...options.args,
  ];
  const child = detach(argv, { [DETACHED]: log_file }, log_file);
  const stop = call.interrupt();
  const end = () => void child.signal("SIGTERM");
  stop.addEventListener("abort", end);
  const line = await child.line;
  stop.removeEventListener("abort", end);
  const said = parseLine(line);
  if (said === undefined) throw await silentEnd(call, child, log_file, logged);
  if (said.ready === true) {
    await child.letGo();
    return { log_file, ...said as unknown as Ready, already_running: false };
  }
  await within(call.clock, END_TIME, child.ended);
  await child.letGo();
  throw failureFromJson(said as unknown as Parameters<typeof failureFromJson>[0]);
}

function parseLine(line: string | undefined): Record<string, unknown> | undefined {
  try {
    const said = line === undefined ? undefined : JSON.parse(line);
    return typeof said?.ready === "boolean" ? said : undefined;
  } catch {
    return undefined; // not our daemon's word: handled as an end without one
  }
}

async function silentEnd(
  call: Call,
  child: Detached,
  log_file: string,
  logged: number,
): Promise<Failure> {
  // Without its word nobody can tell what it would become.
  child.signal("SIGTERM");
  const ended = await within(call.clock, END_TIME, child.ended);
  if (!ended.done) child.signal("SIGKILL");
  await child.letGo();
  const { code, signal } = ended.done ? ended.value : { code: null, signal: "SIGKILL" };
  const how = code === null ? `was ended by ${signal ?? "a signal"}` : `ended with code ${code}`;
  return new Failure(`the daemon ${how} before it was ready`, {
    exit: isExitCode(code) && code !== Exit.done ? code : Exit.failed,
    fix: `look at "${log_file}", or run supervisor serve without --detach`,
    detail: { log_file, last_output: logTail(log_file, logged, LOG_LINES) },
  });
}

function isExitCode(code: number | null): code is ExitCode {
  return Object.values<number | null>(Exit).includes(code);
}
