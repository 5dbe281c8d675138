/**
 * What programs print: every line once, in order, whatever happens to the daemon; and how people get
 * at it.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { Following } from "../kit/following.ts";
import { Fifo } from "../kit/gate.ts";
import { fixture, program } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

/** Records of a process in its log files, oldest first. */
function records(d: Daemon, id: string): { line: string; stream: string; release: string }[] {
  const found = [];
  for (let number = 9; number >= 0; number--) {
    const text = d.read(`state/log/${id}.log${number === 0 ? "" : `.${number}`}`) ?? "";
    for (const line of text.split("\n")) if (line !== "") found.push(JSON.parse(line));
  }
  return found;
}

/** Lines of one stream. */
function lines(d: Daemon, id: string, stream = "stdout"): string[] {
  return records(d, id).filter((one) => one.stream === stream).map(({ line }) => line);
}

/** Waits for a last line in the log files. */
async function lastLine(d: Daemon, id: string, last: string, limit?: number): Promise<string[]> {
  return await until(`"${last}" in the log`, () => {
    const all = lines(d, id);
    return all.at(-1) === last && all;
  }, limit);
}

daemonTest(
  "a line is one line however it arrives; what has no end comes with the end of the program",
  {
    config: ({ dir }) => ({
      processes: {
        worker: { command: `sh ${fixture("partial_line.sh")} ${dir}/fifo; exec sleep 1000` },
        ender: { command: program("partial_line.sh", `${dir}/other`), restart: { delay: "1h" } },
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await using other = new Fifo(d.path("other"));
    await d.deploy("v1");
    assertEquals(lines(d, "worker"), [], "half a line is none");
    fifo.release();
    assertEquals(await lastLine(d, "worker", "first half, second half"), [
      "first half, second half",
    ]);
    other.release(2);
    assertEquals(await lastLine(d, "ender", "no line end"), [
      "first half, second half",
      "no line end",
    ]);
  },
);

daemonTest(
  "200,000 lines through many turns of the log: none is lost, none is there twice",
  {
    config: ({ dir }) => ({
      processes: {
        // With 300 bytes a line that is 60 MB and more: several files of 20 MB.
        worker: {
          command: `read _ <${dir}/fifo
            exec awk 'BEGIN { p = sprintf("%300s", ""); for (i = 1; i <= 200000; i++) print i p; print "end" > "/dev/stderr"; close("/dev/stderr"); system("exec sleep 1000") }'`,
        },
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    fifo.release();
    const count = (name: string) => d.read(`state/log/${name}`)?.split("\n").length ?? 1;
    await until("all lines", () => {
      let all = 0;
      for (let i = 0; i <= 9; i++) all += count(`worker.log${i === 0 ? "" : `.${i}`}`) - 1;
      return all >= 200_001;
    }, 60_000);
    const numbers = lines(d, "worker").map((line) => parseInt(line));
    assertEquals(numbers.length, 200_000);
    assert(numbers.every((number, index) => number === index + 1), "in order, none twice");
    assert(d.read("state/log/worker.log.2") !== undefined, "it turned over");
    assertEquals((await d.events()).filter(({ event }) => event === "output_lost"), []);
    // What is read is given back to the disk.
    const { stdout } = await d.run(["du", "-sm", d.path("state/log/spool")]);
    assert(parseInt(stdout) < 20, stdout);
  },
);

daemonTest(
  "the daemon is killed while a program prints: it neither dies nor waits, and no line is lost",
  {
    leftovers: true,
    config: ({ dir }) => ({
      processes: {
        worker: {
          command:
            `i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo "$$$$ $i"; [ $i = 15000 ] && read _ <${dir}/half; done
             echo done >${dir}/done; exec sleep 1000`,
        },
      },
    }),
  },
  async (d) => {
    await using half = new Fifo(d.path("half"));
    await using done = new Fifo(d.path("done"));
    await d.deploy("v1");
    const [{ pid }] = (await d.status()).releases[0].processes;
    await until("some lines", () => lines(d, "worker").length > 100);
    d.kill("SIGKILL");
    await d.ended();
    // Nobody reads now; it prints on and comes to its end.
    half.release();
    assertEquals(await done.line(), "done");
    assert(Deno.statSync(`/proc/${pid}`).isDirectory, "alive");
    await d.start();
    // The next daemon starts the program anew; both runs print into the same log.
    const own = await until("all its lines", () => {
      const found = lines(d, "worker").filter((line) => line.startsWith(`${pid} `));
      return found.length >= 30_000 && found;
    });
    assertEquals(own.length, 30_000);
    assert(own.every((line, index) => line === `${pid} ${index + 1}`), "in order, none twice");
    await d.event("output_recovered");
  },
);

daemonTest(
  "logs: the last lines, of one process or one copy, since a time; streams are marked",
  {
    config: {
      processes: {
        noisy: { command: program("noisy.sh", "20"), replicas: 2 },
        quiet: { command: "echo only line; exec sleep 1000" },
      },
    },
  },
  async (d) => {
    const before = new Date().toISOString();
    await d.deploy("v1");
    await until("all output", () => records(d, "noisy").length === 2 * 23);
    await until("all output", () => records(d, "quiet").length === 1);
    const show = async (...args: string[]) =>
      (await d.ok("logs", ...args)).stdout.trimEnd().split("\n");

    assertEquals((await show()).length, 47);
    assertEquals((await show("--lines", "5")).length, 5);
    const quiet = await show("--process", "quiet");
    assertEquals(quiet.length, 1);
    assertMatch(quiet[0], /^\S+ .*quiet.*out.*only line$/);
    assertEquals((await show("--process", "noisy")).length, 46);
    const copy = (await show("--process", "noisy#1", "--json")).map((line) => JSON.parse(line));
    assertEquals(copy.length, 23);
    assertEquals(new Set(copy.map(({ process }) => process)), new Set(["noisy#1"]));
    assertEquals(copy.filter(({ stream }) => stream === "stderr").map(({ line }) => line), [
      "error line 10",
      "error line 20",
    ]);
    assertEquals((await show("--since", before)).length, 47);
    assertEquals(
      (await d.ok("logs", "--since", "2000-01-01T00:00:00Z", "--lines", "3")).stdout
        .trim().split("\n").length,
      3,
    );
    const later = new Date(Date.now() + 3_600_000).toISOString();
    assertEquals((await d.ok("logs", "--since", later)).stdout, "");

    const unknown = await d.cli("logs", "--process", "nosy");
    assertEquals(unknown.code, 1);
    assertMatch(unknown.stderr, /no process "nosy"/);
    assertMatch(unknown.stderr, /noisy/, "what there is instead");
  },
);

daemonTest(
  "logs -f and events -f go on with what comes, and end with Ctrl-C or the daemon",
  {
    config: ({ dir }) => ({
      processes: {
        worker: {
          command: `echo before; while read line <${dir}/say; do echo "said $line"; done`,
        },
      },
    }),
  },
  async (d) => {
    await using say = new Fifo(d.path("say"));
    await d.deploy("v1");
    await using logs = new Following(d.command("logs", "-f"));
    await using events = new Following(d.command("events", "-f", "--json"));
    await logs.shows("before");
    await events.shows("deploy_finished");
    say.release();
    await logs.shows("said go");
    await (await d.post("/v1/restart", { process: "worker" })).body?.cancel();
    await events.shows('"reason":"manual"');
    assertEquals(await events.interrupt(), 0);
    for (const line of events.stdout.trim().split("\n")) assert(JSON.parse(line).seq > 0);
    await d.ok("shutdown");
    assertEquals(await logs.ended(), 0);
    assertMatch(logs.stderr, /the daemon has ended this stream/);
  },
);
