/**
 * How programs are taken down: hooks in their order, deaf programs, whole families, and those that
 * tried to get away.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { program } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

/** Stops the live release; resolves when nothing of it is left. */
async function stopRelease(d: Daemon): Promise<void> {
  const response = await d.post("/v1/stop", { now: true });
  assertEquals(response.status, 200, await response.text());
  await d.event("release_stopped");
}

/** How the program ended: code and signal. */
async function exitOf(d: Daemon) {
  const { data } = await d.event("process_exited");
  return [data.code, data.signal];
}

/** Whether a process is there (a zombie is not). */
function alive(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Numbers in a file, once it is there. */
async function pidsIn(d: Daemon, name: string): Promise<number[]> {
  const text = await until(`the file ${name}`, () => d.read(name)?.includes("\n") && d.read(name));
  return text.trim().split("\n").map(Number);
}

daemonTest(
  "quiet, drain and stop commands run in this order, in the program's place, with its group's number",
  {
    config: ({ dir }) => {
      const say = (word: string) =>
        `echo "${word} $PWD $SUPERVISOR_PROCESS_ID $SUPERVISOR_PID $MINE" >>${dir}/order`;
      return {
        processes: {
          worker: {
            command: program("worker.sh"),
            env: { MINE: "mine-{{release_id}}" },
            graceful_stop: "20s",
            lifecycle: {
              quiet_command: say("quiet"),
              drain_command: say("drain"),
              drain_timeout: "20s",
              stop_command: `${say("stop")}; kill -s TERM -- "-$SUPERVISOR_PID"`,
            },
          },
        },
      };
    },
  },
  async (d) => {
    await d.deploy("v1");
    const [{ pid }] = (await d.status()).releases[0].processes;
    await stopRelease(d);
    const place = `${d.path("releases/v1")} worker ${pid} mine-v1`;
    assertEquals(d.read("order"), `quiet ${place}\ndrain ${place}\nstop ${place}\n`);
    assertEquals(await exitOf(d), [0, null], "it ended by itself, nobody killed it");
  },
);

daemonTest(
  "a stop command that fails is told and followed by the stop signal",
  {
    config: {
      processes: {
        worker: {
          command:
            `trap 'echo bye; exit 4' USR2; echo ready; while :; do sleep 1000 & wait $!; done`,
          stop_signal: "SIGUSR2",
          graceful_stop: "20s",
          lifecycle: { stop_command: "echo cannot >&2; exit 5" },
        },
      },
    },
  },
  async (d) => {
    await d.deploy("v1");
    await stopRelease(d);
    const failed = await d.event("hook_failed");
    assertEquals(failed.data.hook, "stop_command");
    assertMatch(String(failed.data.error), /code 5/);
    assertEquals(await exitOf(d), [4, null]);
  },
);

daemonTest(
  "a program that ignores SIGTERM is killed after graceful_stop, its children too",
  {
    config: ({ dir }) => ({
      processes: {
        worker: { command: program("ignore_term.sh", `${dir}/pid`), graceful_stop: "50ms" },
      },
    }),
  },
  async (d) => {
    await d.deploy("v1");
    const [pid] = await pidsIn(d, "pid");
    await stopRelease(d);
    assertEquals(alive(pid), false);
    assertEquals(await exitOf(d), [null, "SIGKILL"]);
    assertMatch((await d.ok("logs", "--process", "worker")).stdout, /ignored TERM/);
  },
);

daemonTest(
  "graceful_stop: indefinite waits as long as the program takes",
  {
    config: ({ dir }) => ({
      proxy: { force_stop_timeout: "10ms" },
      processes: {
        worker: {
          command: `trap 'echo asked; read _ <${dir}/fifo; exit 3' TERM; echo ready
            while :; do sleep 1000 & wait $!; done`,
          graceful_stop: "indefinite",
        },
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    const stopping = stopRelease(d);
    await d.statusUntil(
      "the program to be asked",
      ({ releases }) => releases[0].processes[0].logs.some(({ line }) => line === "asked"),
    );
    // Long after force_stop_timeout, which is not its limit.
    await d.ok("status");
    assertEquals((await d.status()).releases[0].processes[0].state, "stopping");
    fifo.release();
    await stopping;
    assertEquals(await exitOf(d), [3, null]);
  },
);

daemonTest(
  "the whole family is gone before a program counts as stopped",
  {
    config: ({ dir }) => ({
      processes: { worker: { command: program("family.sh", `${dir}/family`) } },
    }),
  },
  async (d) => {
    await d.deploy("v1");
    const family = await pidsIn(d, "family");
    assertEquals(family.map(alive), [true, true, true, true]);
    await stopRelease(d);
    assertEquals(family.map(alive), [false, false, false, false]);
  },
);

daemonTest(
  "a leader that left its children behind at SIGTERM: stopped means that they are gone too",
  {
    config: ({ dir }) => ({
      processes: {
        worker: {
          command: `sh -c "trap '' TERM; while :; do sleep 1000; done" & echo $! >${dir}/child
            trap 'exit 0' TERM; wait`,
          graceful_stop: "50ms",
        },
      },
    }),
  },
  async (d) => {
    await d.deploy("v1");
    const [child] = await pidsIn(d, "child");
    assertEquals(alive(child), true);
    await stopRelease(d);
    assertEquals(alive(child), false);
  },
);

daemonTest(
  "a program that forks and leaves: its child is killed, it counts as a crash, the deploy says so",
  {
    config: ({ dir }) => ({
      processes: { worker: { command: program("forker.sh", `${dir}/child`) } },
    }),
  },
  async (d) => {
    const result = await d.cli("deploy", "--release-path", d.release("v1"), "--release-id", "v1");
    assertEquals(result.code, 1);
    assertMatch(result.stderr, /worker.*(exited|ended).*code 0/s);
    assertMatch(result.stderr, /leaving child/, "with its last output");
    const [child] = await pidsIn(d, "child");
    assertEquals(alive(child), false);
  },
);

daemonTest(
  "who escaped into a session of its own is gone after shutdown",
  {
    config: ({ dir }) => ({
      processes: { worker: { command: program("escape.sh", `${dir}/escaped`) } },
    }),
  },
  async (d) => {
    await d.deploy("v1");
    const [escaped] = await pidsIn(d, "escaped");
    assertEquals(alive(escaped), true);
    await d.ok("shutdown");
    assertEquals(alive(escaped), false);
    assertEquals(d.leftovers(), []);
  },
);

daemonTest(
  "who escaped and lost its parent is gone with the program",
  {
    config: ({ dir }) => ({
      processes: {
        worker: {
          // The parent in between ends at once: nobody in the process table tells the kinship.
          command: `(setsid sh -c 'echo $$$$ >${dir}/escaped; exec sleep 1000' &)
            trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done`,
        },
      },
    }),
  },
  async (d) => {
    await d.deploy("v1");
    const [escaped] = await pidsIn(d, "escaped");
    assertEquals(alive(escaped), true);
    await stopRelease(d);
    assertEquals(alive(escaped), false);
  },
);
