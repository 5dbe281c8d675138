/** Real programs on the real system: what no fake can prove. FIFOs, not sleeps, say when. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { realSystem } from "../../../lib/os/real.ts";
import type { Machine } from "../../../lib/os/system.ts";
import { MemoryWatch } from "../../../lib/process/memory.ts";
import { Process } from "../../../lib/process/process.ts";
import type { LiveSettings, OutputLine, OutputRun } from "../../../lib/process/types.ts";
import type { EventName, Events } from "../../../lib/telemetry/events.ts";
import { Fifo } from "../../kit/gate.ts";
import { freePort } from "../../kit/ports.ts";
import { Scratch } from "../../kit/scratch.ts";
import { SETTINGS, specOf } from "./world.ts";

/** Lines of a file of this run. */
function linesOf(path: string, stream: OutputLine["stream"]): OutputLine[] {
  const at = new Date().toISOString();
  const lines = Deno.readTextFileSync(path).split("\n").filter((line) => line !== "");
  return lines.map((line) => ({ at, stream, line }));
}

/** A directory, the real system, and processes in them; all gone at the end of the test. */
class Bench implements AsyncDisposable {
  readonly #scratch = new Scratch();
  readonly #fifos: Fifo[] = [];
  readonly system: Machine = realSystem({ adoptOrphans: true });
  readonly end = new AbortController();
  readonly told: { event: EventName; data: unknown }[] = [];
  readonly #memory = new MemoryWatch(this.system);
  readonly #processes: Process[] = [];
  #runs = 0;

  get dir(): string {
    return this.#scratch.dir;
  }

  /** A shell script that runs in the directory. */
  script(text: string, live: Partial<LiveSettings> = {}): Process {
    return this.program(["/bin/sh", "-c", text], live);
  }

  program(argv: string[], live: Partial<LiveSettings> = {}, rest = {}): Process {
    const env = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", DENO_NO_UPDATE_CHECK: "1" };
    const spec = specOf(live, { argv, cwd: this.dir, env, ...rest });
    const process = new Process(spec, {
      system: this.system,
      emit: (event, data) => void this.told.push({ event, data }),
      output: { open: () => this.#open() },
      memory: this.#memory,
      signal: this.end.signal,
    });
    this.#processes.push(process);
    return process;
  }

  /** A FIFO of that name, for scripts that say when they are where, or wait. */
  fifo(name: string): Fifo {
    const fifo = new Fifo(this.#scratch.path(name));
    this.#fifos.push(fifo);
    return fifo;
  }

  events<N extends EventName>(name: N): Events[N][] {
    return this.told.filter((told) => told.event === name).map((told) => told.data as Events[N]);
  }

  /** Whether a pid is alive and no zombie. */
  runs(pid: string | number): boolean {
    const row = this.system.row(Number(pid));
    return row !== undefined && row.state !== "Z" && row.state !== "X";
  }

  #open(): OutputRun {
    const run = ++this.#runs;
    const files = { stdout: `${this.dir}/out.${run}`, stderr: `${this.dir}/err.${run}` };
    for (const file of Object.values(files)) Deno.writeTextFileSync(file, "");
    return {
      files,
      recent: () => [...linesOf(files.stdout, "stdout"), ...linesOf(files.stderr, "stderr")],
      settle: () => Promise.resolve(),
      end: () => {},
    };
  }

  async [Symbol.asyncDispose]() {
    await Promise.all(this.#processes.map((process) => process.stop({ within: 0 })));
    this.end.abort();
    this.system[Symbol.dispose]();
    for (const fifo of this.#fifos) await fifo[Symbol.asyncDispose]();
    this.#scratch[Symbol.dispose]();
  }
}

const probe = (kind: "http" | "tcp", port: number, timeout = 30_000) => ({
  kind,
  host: "127.0.0.1",
  port,
  path: "/",
  timeout,
  interval: 20,
  attempt_timeout: 5_000,
  start_delay: 0,
});

/** A program of ours that answers `ok` with its pid, as soon as it can. */
const serverOn = (port: number) => [
  Deno.execPath(),
  "eval",
  `Deno.serve({ hostname: "127.0.0.1", port: ${port}, onListen() {} }, () => new Response(String(Deno.pid)));`,
];

Deno.test("prints and dies: the start is refused at once, with code and last words", async () => {
  await using bench = new Bench();
  const port = freePort();
  const process = bench.script("echo hello; echo 'no database' >&2; exit 3", {
    probe: probe("tcp", port, 600_000),
  });
  const failure = await assertRejects(
    () => process.start("deploy", { supervise: false }),
    Failure,
    "it exited with code 3",
  );
  assertEquals(failure.detail?.stderr, ["no database"]);
  assertEquals(failure.detail?.stdout, ["hello"]);
  assertEquals(failure.detail?.cwd, bench.dir);
  await process.stop();
  assertEquals(process.identity, undefined);
});

Deno.test("what cannot be started says what and why, and is tried again when supervised", async () => {
  await using bench = new Bench();
  const lost = bench.program(["/bin/sh"], {}, { cwd: `${bench.dir}/gone` });
  const noDirectory = await assertRejects(() => lost.start("deploy"), Failure);
  assertStringIncludes(noDirectory.message, `${bench.dir}/gone`);
  assertEquals(lost.state, "backoff");

  const missing = bench.program(["no-such-program", "--port", "1"]);
  const notFound = await assertRejects(
    () => missing.start("deploy", { supervise: false }),
    Failure,
  );
  assertStringIncludes(notFound.message, "no-such-program");
  assertEquals(notFound.detail?.argv, ["no-such-program", "--port", "1"]);
  assertEquals(missing.state, "failed");

  await Deno.writeTextFile(`${bench.dir}/plain`, "#!/bin/sh\n", { mode: 0o644 });
  const plain = bench.program(["./plain"]);
  await assertRejects(() => plain.start("deploy", { supervise: false }), Failure, "plain");

  await Deno.mkdir(`${bench.dir}/gone`);
  await lost.restart("manual");
  assertEquals(lost.state, "running");
});

Deno.test("ignores SIGTERM: killed with its whole group when the grace is over", async () => {
  await using bench = new Bench();
  const ready = bench.fifo("ready");
  const process = bench.script(
    "trap '' TERM; sleep 1000 & echo $! >ready; while :; do wait; done",
    { graceful_stop: 50 },
  );
  await process.start("deploy");
  const worker = await ready.line();
  const { pid } = process;
  const report = await process.stop();
  assertEquals([report.killed, report.survivors, report.exit?.signal], [true, [], "SIGKILL"]);
  assert(!bench.runs(pid!) && !bench.runs(worker));
});

Deno.test("forks and leaves: a crash; what it left is killed before the next run", async () => {
  await using bench = new Bench();
  const ready = bench.fifo("ready");
  const process = bench.script("sleep 1000 & echo $! >ready; exit 0", {
    restart: { ...SETTINGS.restart, max_restarts: 0 },
  });
  const failed = new Promise<void>((resolve) => {
    process.onChange(() => process.state === "failed" && resolve());
  });
  await process.start("deploy");
  const left = await ready.line();
  await failed;
  assert(!bench.runs(left));
  assertEquals(bench.events("process_leftovers_killed")[0].pids, [Number(left)]);
  assertMatch(process.snapshot().reason!, /max_restarts is 0; last: exited with code 0/);
});

Deno.test("a worker in a session of its own does not outlive the stop", async () => {
  await using bench = new Bench();
  const ready = bench.fifo("ready");
  const process = bench.script("setsid sleep 1000 & echo $! >ready; wait");
  await process.start("deploy");
  const worker = Number(await ready.line());
  // Seen once while its parent lives: that is how it is known.
  const members = process.snapshot().children.map((child) => child.pid);
  assert(members.includes(worker));
  const report = await process.stop();
  assertEquals(report.survivors, []);
  assert(!bench.runs(worker));
});

Deno.test("a slow stop is waited for, an indefinite one too", async () => {
  await using bench = new Bench();
  const ready = bench.fifo("ready");
  const stopping = bench.fifo("stopping");
  const finish = bench.fifo("finish");
  bench.fifo("never");
  // Without a child: a signal that meets one between fork and exec is lost in it.
  const process = bench.script(
    "trap 'echo now >stopping; read x <finish; exit 7' TERM; echo up >ready; " +
      "while :; do read x <never; done",
    { graceful_stop: "indefinite" },
  );
  await process.start("deploy");
  await ready.line();
  let done = false;
  const stopped = process.stop().finally(() => done = true);
  await stopping.line();
  assert(!done);
  assertEquals(process.state, "stopping");
  finish.release();
  const report = await stopped;
  assertEquals([report.killed, report.exit?.code], [false, 7]);
});

Deno.test("a stopped (SIGSTOP) program can be stopped", async () => {
  await using bench = new Bench();
  const process = bench.program(["sleep", "1000"], { graceful_stop: "indefinite" });
  await process.start("deploy");
  Deno.kill(process.pid!, "SIGSTOP");
  assertEquals((await process.stop()).exit?.signal, "SIGTERM");
});

Deno.test("hooks: run in the directory with the pid, into the program's output, and end", async () => {
  await using bench = new Bench();
  const hanging = bench.fifo("hanging");
  const process = bench.program(["sleep", "1000"], {
    graceful_stop: "indefinite",
    lifecycle: {
      quiet_command: 'pwd; echo "for $SUPERVISOR_PID"; exit 4',
      drain_command: "echo $$ >hanging; sleep 1000",
      drain_timeout: 600_000,
      stop_command: 'kill -USR1 "$SUPERVISOR_PID"',
    },
  });
  await process.start("deploy");
  const { pid } = process;
  const stopped = process.stop();
  const hook = await hanging.line();
  process.hurry(600_000);
  const report = await stopped;
  assertEquals(report.exit?.signal, "SIGUSR1");
  assert(!bench.runs(hook));
  const said = process.snapshot().logs.map((line) => line.line);
  assertEquals(said, [bench.dir, `for ${pid}`]);
  const failures = bench.events("hook_failed").map((told) => `${told.hook} ${told.error}`);
  assertEquals(failures, [
    "quiet_command exited with code 4",
    "drain_command killed: the stop is in a hurry",
  ]);
});

Deno.test("healthy again only when the restarted program answers; told before anything else", async () => {
  await using bench = new Bench();
  const port = freePort();
  const process = bench.program(serverOn(port), {
    probe: probe("http", port),
    restart: { delay: 0, window: 0, backoff_factor: 1, max_delay: 0 },
  });
  await process.start("deploy", { supervise: false });
  const ask = async () => Number(await (await fetch(`http://127.0.0.1:${port}/`)).text());
  const first = process.pid!;
  assertEquals(await ask(), first);
  const seen: string[] = [];
  const again = new Promise<void>((resolve) => {
    process.onChange(() => {
      seen.push(`${process.state} ${process.healthy}`);
      if (process.healthy) resolve();
    });
  });
  Deno.kill(first, "SIGKILL");
  await again;
  assertEquals(seen[0], "backoff false");
  assertEquals(await ask(), process.pid);
  assert(process.pid !== first);
  assertEquals(bench.events("process_exited")[0].signal, "SIGKILL");
});

Deno.test("an answer from another program is its own verdict, with pid", async () => {
  await using bench = new Bench();
  const stranger = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("ok"),
  );
  const { port } = stranger.addr;
  const process = bench.program(["sleep", "1000"], { probe: probe("http", port) }, { port });
  const failure = await assertRejects(
    () => process.start("deploy", { supervise: false }),
    Failure,
    `pid ${Deno.pid} `,
  );
  assertEquals(failure.detail?.port_taken, true);

  const loser = bench.program(serverOn(port), { probe: probe("http", port) }, { port });
  const refused = await assertRejects(() => loser.start("deploy", { supervise: false }), Failure);
  assertEquals(refused.detail?.port_taken, true, "whether it ended first or was found out first");
  await stranger.shutdown();
});

Deno.test("runs as another user, and so do its hooks", async () => {
  if (Deno.uid() !== 0) return console.log("not root: users cannot be changed here");
  await using bench = new Bench();
  const identity = bench.system.user("nobody");
  const process = bench.program(["/bin/sh", "-c", "id -u; sleep 1000"], {
    lifecycle: { quiet_command: "id -un", drain_timeout: 0 },
  }, { identity });
  await process.start("deploy");
  await process.stop();
  const said = process.snapshot().logs.map((line) => line.line);
  assert(said.includes("nobody"));
});

Deno.test("memory: the sum of the whole group counts", async () => {
  await using bench = new Bench();
  const again = Promise.withResolvers<void>();
  const process = bench.script(
    "if [ -e fat ]; then exec sleep 1000; fi; >fat; " +
      "x=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 1000",
    { memory: { limit: 25_000_000, warn: 0, check_interval: 20 } },
  );
  process.onChange(() => {
    if (process.healthy && process.snapshot().last_start_reason === "memory") again.resolve();
  });
  await process.start("deploy");
  await again.promise;
  assert(bench.events("memory_limit_exceeded")[0].rss_bytes > 25_000_000);
  assertEquals(process.snapshot().memory_restarts, 1);
});
