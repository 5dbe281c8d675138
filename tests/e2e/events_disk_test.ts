/** Events on disk and `logs --grep`, against the real daemon. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { EventRecord } from "../../lib/telemetry/events.ts";
import { type CommandResult, type Daemon, daemonTest } from "../kit/daemon.ts";
import { program } from "../kit/programs.ts";

const COMPANION = { processes: { worker: { command: program("worker.sh") } } };

function linesOf({ stdout }: CommandResult) {
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

async function restart(d: Daemon): Promise<void> {
  d.kill("SIGTERM");
  await d.ended();
  await d.start();
}

daemonTest(
  "events of daemons before this one are read from disk",
  { config: COMPANION },
  async (d) => {
    const first = d.pid;
    await d.deploy("v1");
    await restart(d);
    const recent = linesOf(await d.ok("events", "--json", "--limit", "1000")) as EventRecord[];
    const starts = recent.filter(({ event }) => event === "daemon_started");
    assertEquals(starts.map(({ data }) => data.pid), [first, d.pid]);
    const since = linesOf(await d.ok("events", "--json", "--since", "1h")) as EventRecord[];
    assertEquals(since[0].event, "daemon_started");
    assertEquals(since.filter(({ event }) => event === "daemon_stopped").length, 1);
    assert(since.length >= recent.length);
    // Torn by a power cut, and all of it in the way of nobody.
    Deno.writeTextFileSync(d.path("state", "events.jsonl"), '{"at":"2030', { append: true });
    await restart(d);
    const later = linesOf(await d.ok("events", "--json", "--since", "1h")) as EventRecord[];
    assertEquals(later.filter(({ event }) => event === "daemon_started").length, 3);
    assertEquals(Deno.statSync(d.path("state", "events.jsonl")).mode! & 0o777, 0o600);
  },
);

daemonTest(
  "a journal that cannot be written is told once, and the daemon runs",
  { config: COMPANION, start: false },
  async (d) => {
    Deno.mkdirSync(d.path("state", "events.jsonl"), { recursive: true });
    await d.start();
    await d.deploy("v1");
    const told = (await d.events()).filter(({ event }) => event === "journal_failed");
    assertEquals(told.length, 1);
    assertStringIncludes(String(told[0].data.file), "events.jsonl");
    assertEquals((await d.ok("events", "--limit", "5000", "--json")).code, 0);
    assertEquals((await d.ok("explain", "worker", "--json")).json().subjects.length, 1);
  },
);

const PRINTER = [
  "echo plain one",
  `echo '{"level":"warn","id":12345678901234567890,"text":"Two"}'`,
  "echo '{no json'",
  "echo THREE >&2",
  "for i in 1 2 3 4; do echo tick $i; done",
  "exec sleep 1000",
].join("\n");

daemonTest(
  "logs --grep: a text, a pattern; JSON lines are embedded",
  { config: { processes: { app: { command: ["/bin/sh", "-c", PRINTER] } } } },
  async (d) => {
    await d.deploy("v1");
    await d.statusUntil(
      "all lines",
      ({ releases }) => releases[0].processes[0].logs.some(({ line }) => line === "tick 4"),
    );
    const grep = async (...args: string[]) =>
      linesOf(await d.ok("logs", "--json", ...args)).map(({ line }) => line);
    assertEquals(await grep("--grep", "tick", "--lines", "2"), ["tick 3", "tick 4"]);
    // Of two streams: their order among each other is that of the reading.
    const both = await grep("--grep", "/three|^PLAIN/i", "--since", "1h");
    assertEquals(both.sort(), ["THREE", "plain one"]);
    assertEquals(await grep("--grep", "/tick [13]/", "--lines", "1"), ["tick 3"]);
    assertEquals(await grep("--grep", "{no"), ["{no json"]);
    const { stdout } = await d.ok("logs", "--json", "--grep", "Two");
    assertStringIncludes(
      stdout,
      `"line":{"level":"warn","id":12345678901234567890,"text":"Two"}}\n`,
    );
    assertEquals((await d.ok("logs", "--grep", "nowhere")).stdout, "");
    const wrong = await d.cli("logs", "--grep", "/(/");
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, "is no pattern");
  },
);
