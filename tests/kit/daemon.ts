/**
 * Drives the real program: writes a configuration, starts it, talks to it as a user would, and at
 * the end makes sure that nothing of it is left.
 *
 *   await using d = await startDaemon({ config: { proxy: {}, processes: { web: webProcess() } } });
 *   await d.deploy("v1");
 *
 * The program is SUPERVISOR_BIN when set, else main.ts from source.
 *
 * Invariants: every program under test bears the mark of its scratch directory; disposing ends in an
 * error when the daemon does not stop when told, or when anything with that mark survives it. The
 * daemon's output is kept in .cache/test-logs under the name of the test file.
 */

import { basename, fromFileUrl, join } from "@std/path";
import { configurationText, type DaemonOptions } from "./daemon_options.ts";
import { killLeftovers, leftoversOf, MARK } from "./leftovers.ts";
import { freePort } from "./ports.ts";
import { runtimeCache, type Yaml } from "./programs.ts";
import { Scratch } from "./scratch.ts";
import { LIMIT, soon, until } from "./wait.ts";
import type { EventRecord } from "../../lib/telemetry/events.ts";
import type { Status } from "../../lib/control/operations.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
const LOGS = join(ROOT, ".cache", "test-logs");

/** How long a daemon may take to stop at the end of a test, milliseconds. */
const STOP_LIMIT = 40_000;

/** How long one command may take, milliseconds. */
const COMMAND_LIMIT = 60_000;

/** How much of the daemon's output a failing test shows, characters. */
const LOG_SHOWN = 8_000;

/** The command line of the program under test. */
export function supervisor(): string[] {
  const binary = Deno.env.get("SUPERVISOR_BIN");
  if (binary !== undefined) return [binary];
  return [Deno.execPath(), "run", "-A", "--quiet", "--unstable-net", join(ROOT, "main.ts")];
}

/** How a command ended. */
export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
  /** stdout as JSON. */
  // deno-lint-ignore no-explicit-any
  json(): any;
}

/** How the daemon itself ended. */
export interface DaemonEnd {
  code: number;
  signal: string | null;
}

/** A daemon under test with everything that belongs to it. */
export class Daemon implements AsyncDisposable {
  readonly #options: DaemonOptions;
  readonly #scratch = new Scratch();
  /** To the control socket. */
  readonly #client: Deno.HttpClient;
  /** To the proxy: a connection for each request. */
  readonly #visitor = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  readonly #logName: string;
  readonly #program: string[];
  #child: Deno.ChildProcess | undefined;
  #ended: Promise<DaemonEnd> | undefined;
  #running = false;

  /** Proxy port. */
  readonly port: number;
  readonly socket: string;
  readonly configFile: string;

  /** Use startDaemon. */
  constructor(options: DaemonOptions, logName: string) {
    this.#options = options;
    this.#logName = logName;
    this.#program = options.program ?? supervisor();
    this.port = freePort();
    this.socket = this.path("run", "control.sock");
    this.configFile = this.path("supervisor.yaml");
    for (const [name, text] of Object.entries(options.files ?? {})) this.write(name, text);
    this.configure(options.config);
    this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path: this.socket } });
  }

  /** The scratch directory. */
  get dir(): string {
    return this.#scratch.dir;
  }

  /** Pid of the daemon started last. */
  get pid(): number {
    if (this.#child === undefined) throw new Error("no daemon was started");
    return this.#child.pid;
  }

  /** Whether the daemon started by start() is alive. */
  get running(): boolean {
    return this.#running;
  }

  /** How the daemon started last ends; bounded. */
  ended(limit = STOP_LIMIT): Promise<DaemonEnd> {
    if (this.#ended === undefined) throw new Error("no daemon was started");
    return soon("the end of the daemon", this.#ended, limit);
  }

  /** A path in the scratch directory. */
  path(...parts: string[]): string {
    return this.#scratch.path(...parts);
  }

  /** Writes a file of the scratch directory. @returns its path */
  write(name: string, text: string, mode?: number): string {
    return this.#scratch.write(name, text, mode);
  }

  /** Content of a file of the scratch directory, or undefined. */
  read(name: string): string | undefined {
    return this.#scratch.read(name);
  }

  /** Replaces the configuration file. */
  configure(config: DaemonOptions["config"]): void {
    this.write("supervisor.yaml", configurationText(config, this));
  }

  /**
   * Starts `serve` and waits until its control socket answers.
   *
   * @throws Error with the daemon's output when it ends instead
   */
  async start(...args: string[]): Promise<void> {
    this.launch(...args);
    const state = await until("the daemon's control socket", async () => {
      if (!this.#running) return "ended";
      return await this.#answers() ? "ready" : undefined;
    });
    if (state === "ready") return;
    const { code, signal } = await this.ended();
    throw new Error(
      `the daemon ended (code ${code}, signal ${signal}) instead of getting ready:\n${this.output()}`,
    );
  }

  /** Starts `serve` without waiting for it. */
  launch(...args: string[]): void {
    if (this.#running) throw new Error("the daemon runs already");
    const argv = [...this.#program, "serve", ...(this.#options.args ?? []), ...args];
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", 'exec "$@" >>"$OUT" 2>&1', "sh", ...argv],
      cwd: this.dir,
      env: { ...this.#environment(), OUT: this.path("daemon.out") },
      stdin: "null",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#child = child;
    this.#running = true;
    this.#ended = child.status.then(({ code, signal }) => {
      this.#running = false;
      return { code, signal };
    });
  }

  #environment(): Record<string, string> {
    return {
      HOME: this.dir,
      DENO_DIR: runtimeCache(),
      NO_COLOR: "1",
      [MARK]: this.dir,
      ...this.#options.env,
    };
  }

  async #answers(): Promise<boolean> {
    const response = await this.api("/v1/health");
    await response.body?.cancel();
    return response.ok;
  }

  /** What the daemon wrote to stdout and stderr, and its log file when detached. */
  output(): string {
    const detached = this.read("state/log/daemon.log");
    return (this.read("daemon.out") ?? "") + (detached === undefined ? "" : detached);
  }

  /** Runs a command of the program in the scratch directory. */
  async cli(...args: string[]): Promise<CommandResult> {
    return await this.run([...this.#program, ...args]);
  }

  /** What a command of the program is started with, for tests that let it run. */
  command(...args: string[]) {
    return { argv: [...this.#program, ...args], cwd: this.dir, env: this.#environment() };
  }

  /** Runs any command with the daemon's environment. */
  async run(argv: string[], limit = COMMAND_LIMIT): Promise<CommandResult> {
    const child = new Deno.Command(argv[0], {
      args: argv.slice(1),
      cwd: this.dir,
      env: this.#environment(),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const timer = setTimeout(() => child.kill("SIGKILL"), limit);
    try {
      const [stdout, stderr, { code }] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.status,
      ]);
      return { code, stdout, stderr, json: () => JSON.parse(stdout) };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs a command that must succeed. @throws Error with its output */
  async ok(...args: string[]): Promise<CommandResult> {
    const result = await this.cli(...args);
    if (result.code === 0) return result;
    throw new Error(
      `supervisor ${args.join(" ")} ended with ${result.code}\n${result.stdout}${result.stderr}`,
    );
  }

  /** A request to the control API. */
  api(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://localhost${path}`, { ...init, client: this.#client });
  }

  /** A control command as the CLI sends it: POST of JSON. */
  post(path: string, body: unknown = {}): Promise<Response> {
    return this.api(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /** `GET /v1/status` */
  async status(): Promise<Status> {
    return await (await this.api("/v1/status")).json();
  }

  /** Waits until status satisfies `wanted`, and returns what that gave. */
  statusUntil<T>(what: string, wanted: (status: Status) => T, limit = LIMIT) {
    return until(what, async () => wanted(await this.status()), limit);
  }

  /** Events so far (the last 1,000). */
  async events(): Promise<EventRecord[]> {
    const text = await (await this.api("/v1/events?limit=1000")).text();
    return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  /** Waits for an event. */
  event(name: EventRecord["event"], wanted: (event: EventRecord) => boolean = () => true) {
    return until(
      `event ${name}`,
      async () => (await this.events()).find((event) => event.event === name && wanted(event)),
    );
  }

  /**
   * Makes the directory of a release. @param web what fixtures/web.mjs finds as its settings;
   * `version` is the release's name unless it says otherwise
   */
  release(name: string, web: Yaml = {}, files: Record<string, string> = {}): string {
    this.write(`releases/${name}/web.json`, JSON.stringify({ version: name, ...web }));
    for (const [file, text] of Object.entries(files)) this.write(`releases/${name}/${file}`, text);
    return this.path("releases", name);
  }

  /** Makes a release and deploys it, which must succeed. */
  async deploy(name: string, web: Yaml = {}, ...args: string[]): Promise<CommandResult> {
    const path = this.release(name, web);
    return await this.ok("deploy", "--release-path", path, "--release-id", name, ...args);
  }

  /** A request to the proxy. */
  async get(path = "/", init: RequestInit = {}): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      ...init,
      client: this.#visitor,
    });
    return { status: response.status, text: await response.text() };
  }

  /** Signals the daemon started by start(). */
  kill(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }

  /** Everything alive that belongs to this test. */
  leftovers() {
    return leftoversOf(this.dir);
  }

  /** Stops the daemon, checks that nothing is left, keeps the log, removes the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    const complaints: string[] = [];
    try {
      if (this.#running) {
        this.kill("SIGTERM");
        await this.ended().catch(() =>
          complaints.push(`it still ran ${STOP_LIMIT} ms after SIGTERM`)
        );
      } else if (await this.#answers().catch(() => false)) {
        await this.ok("shutdown", "--socket", this.socket).catch((error) =>
          complaints.push(error.message)
        );
      }
      this.#checkLeftovers(complaints);
      if (this.#running) await this.ended();
    } finally {
      this.#client.close();
      this.#visitor.close();
      const log = this.#keepLog();
      this.#scratch[Symbol.dispose]();
      if (complaints.length > 0) {
        // deno-lint-ignore no-unsafe-finally -- what the daemon did wrong outranks a failed clean-up
        throw new Error(`the daemon was not gone: ${complaints.join("; ")}\n${log}`);
      }
    }
  }

  #checkLeftovers(complaints: string[]): void {
    const left = this.leftovers();
    killLeftovers(left);
    if (this.#options.leftovers) return;
    for (const { pid, command } of left) complaints.push(`left behind: ${pid} ${command}`);
  }

  /** Copies the daemon's output to where it outlives the test. @returns its last part */
  #keepLog(): string {
    const output = this.output();
    Deno.mkdirSync(LOGS, { recursive: true });
    Deno.writeTextFileSync(join(LOGS, this.#logName), output);
    return output.slice(-LOG_SHOWN);
  }
}

/** Prepares and (unless `start: false`) starts a daemon. */
export async function startDaemon(options: DaemonOptions, log = logName()): Promise<Daemon> {
  const daemon = new Daemon(options, log);
  if (options.start === false) return daemon;
  try {
    await daemon.start();
  } catch (error) {
    // The reason why it did not start says more than what cleaning up after it may say.
    await daemon[Symbol.asyncDispose]().catch(() => {});
    throw error;
  }
  return daemon;
}

/** A test with a daemon; when it fails the daemon's output is shown. */
export function daemonTest(
  name: string,
  options: DaemonOptions,
  body: (daemon: Daemon) => Promise<void>,
): void {
  const log = logName();
  Deno.test(name, async () => {
    await using daemon = await startDaemon(options, log);
    try {
      await body(daemon);
    } catch (error) {
      console.error(
        `--- output of the daemon in "${name}"\n${daemon.output().slice(-LOG_SHOWN)}---`,
      );
      throw error;
    }
  });
}

/** Name of the log kept for a daemon: the test file and line that started it. */
function logName(): string {
  const caller = (new Error().stack ?? "").split("\n").find((line) => line.includes("_test.ts"));
  const place = /([^/]+_test)\.ts:(\d+)/.exec(caller ?? "");
  return `${basename(place?.[1] ?? "other")}-${place?.[2] ?? Deno.pid}.log`;
}
