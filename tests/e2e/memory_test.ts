/**
 * Memory of a program and its children: a warning once, and a restart above the limit.
 */

import { assert, assertEquals } from "@std/assert";
import { daemonTest } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";

/**
 * A shell whose child takes `megabytes` once the test says so, and ends when told to: the memory is
 * not the leader's. `tail` keeps in memory what has no line end; the bytes come from its own input.
 */
function eater(dir: string, megabytes: number): string {
  return [
    `trap 'kill $!; exit 0' TERM`,
    `echo ready`,
    `read _ <${dir}/fifo`,
    `(head -c ${megabytes}000000 /dev/zero; exec sleep 1000) | tail -n 1 &`,
    `wait $!`,
    `wait $!`,
  ].join("\n");
}

daemonTest(
  "above warn: one warning, and the program goes on",
  {
    config: ({ dir }) => ({
      processes: {
        worker: {
          command: eater(dir, 60),
          memory: { warn: "40MB", limit: "1GB", check_interval: "100ms" },
          graceful_stop: "1s",
        },
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    fifo.release();
    const warning = await d.event("memory_warning");
    assertEquals(warning.level, "warn");
    assertEquals(warning.data.process, "worker");
    assertEquals(warning.data.warn_bytes, 40_000_000);
    assert(Number(warning.data.rss_bytes) > 40_000_000);
    const seen = await d.statusUntil("all of it to be seen", ({ releases }) => {
      const [worker] = releases[0].processes;
      return worker.rss_bytes! > 60_000_000 && worker;
    });
    assertEquals([seen.state, seen.memory_restarts, seen.restarts], ["running", 0, 0]);
    assert(seen.children.some(({ rss_bytes }) => rss_bytes > 50_000_000), "its child has it");
    const all = (await d.events()).filter(({ event }) => event === "memory_warning");
    assertEquals(all.length, 1, "told once, not at every look");
  },
);

daemonTest(
  "above limit: stopped and started again, which is no crash",
  {
    config: ({ dir }) => ({
      processes: {
        worker: {
          command: eater(dir, 60),
          memory: { limit: "40MB", check_interval: "100ms" },
          graceful_stop: "1s",
          // Any crash would be the end of it.
          restart: { max_restarts: 0 },
        },
      },
    }),
  },
  async (d) => {
    await using fifo = new Fifo(d.path("fifo"));
    await d.deploy("v1");
    for (let round = 1; round <= 2; round++) {
      const { pid } = (await d.status()).releases[0].processes[0];
      fifo.release();
      const again = await d.statusUntil("a restart", ({ releases }) => {
        const [worker] = releases[0].processes;
        return worker.memory_restarts === round && worker.healthy && worker;
      });
      assert(again.pid !== pid);
      assertEquals([again.last_start_reason, again.restarts], ["memory", 0]);
      assert(again.last_memory_restart_at !== undefined);
    }
    const exceeded = await d.event("memory_limit_exceeded");
    assertEquals(exceeded.data.limit_bytes, 40_000_000);
    assert(Number(exceeded.data.rss_bytes) > 40_000_000);
  },
);
