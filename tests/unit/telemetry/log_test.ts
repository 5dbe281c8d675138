/** The daemon's log on real files and a real pipe. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { Failure } from "../../../lib/core/failure.ts";
import type { EventName, Level } from "../../../lib/telemetry/events.ts";
import { Log, type LogOptions } from "../../../lib/telemetry/log.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

function directory(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "log" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

const open = (options: Partial<LogOptions> = {}) =>
  Log.open({ clock: new ManualClock(), level: "info", ...options });

function record(level: Level, event: EventName, data: Record<string, unknown> = {}) {
  return { at: "2030-01-01T00:00:00.000Z", seq: 1, level, event, data };
}

/** What is written to standard error, as text. */
function catcher() {
  const caught = { text: "", fail: undefined as string | undefined };
  const take = (bytes: Uint8Array) => {
    if (caught.fail !== undefined) throw new Error(caught.fail);
    caught.text += new TextDecoder().decode(bytes);
    return bytes.length;
  };
  return {
    caught,
    stderr: { write: (bytes: Uint8Array) => Promise.try(take, bytes), writeSync: take },
  };
}

Deno.test("JSON lines to a file that is for the owner only", async () => {
  using where = directory();
  const file = `${where.path}/daemon.log`;
  {
    await using log = open({ places: [file] });
    log.write(record("info", "daemon_ready", { started_in_ms: 5 }));
    log.write(record("debug", "process_starting", { process: "web" }));
  }
  assertEquals(
    Deno.readTextFileSync(file),
    '{"at":"2030-01-01T00:00:00.000Z","level":"info","event":"daemon_ready","data":{"started_in_ms":5}}\n',
  );
  assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
});

Deno.test("to standard error: JSON, or readable on a terminal", async () => {
  for (const readable of [false, true]) {
    const { caught, stderr } = catcher();
    {
      await using log = open({ stderr, readable, colour: false });
      log.write(record("warn", "config_warning", { message: "hm" }));
    }
    if (readable) assertStringIncludes(caught.text, "warn  config_warning           message=hm\n");
    else assertEquals(JSON.parse(caught.text).event, "config_warning");
  }
});

Deno.test("the level can be changed while it runs", async () => {
  const { caught, stderr } = catcher();
  {
    await using log = open({ stderr, readable: false });
    log.write(record("debug", "process_starting"));
    log.rebind({ level: "debug", readable: false }).commit();
    log.write(record("debug", "process_stopping"));
    log.rebind({ level: "error", readable: false }).commit();
    log.write(record("warn", "config_warning"));
    log.write(record("error", "config_rejected"));
  }
  const events = caught.text.trim().split("\n").map((line) => JSON.parse(line).event);
  assertEquals(events, ["process_stopping", "config_rejected"]);
});

Deno.test("the file turns over", async () => {
  using where = directory();
  const file = `${where.path}/daemon.log`;
  {
    await using log = open({ places: [file], limits: { bytes: 500, files: 3 } });
    for (let i = 0; i < 20; i++) {
      log.write(record("info", "daemon_stopped", { exit: i }));
      await log.flush();
    }
  }
  const names = Array.from(Deno.readDirSync(where.path), ({ name }) => name).sort();
  assertEquals(names, ["daemon.log", "daemon.log.1", "daemon.log.2"]);
  assert(Deno.statSync(file).size <= 500);
});

Deno.test("reopen: everything before in the old file, everything after in the new", async () => {
  using where = directory();
  const file = `${where.path}/daemon.log`;
  {
    await using log = open({ places: [file] });
    log.write(record("info", "daemon_stopped", { exit: 1 }));
    await log.flush();
    Deno.renameSync(file, `${file}.moved`);
    assertEquals(await log.reopen(), [{ file }]);
    log.write(record("info", "daemon_stopped", { exit: 2 }));
    await log.flush();
    Deno.renameSync(file, `${file}.again`);
    Deno.mkdirSync(file);
    const [{ error }] = await log.reopen();
    assertStringIncludes(error!, "irectory");
    log.write(record("info", "daemon_stopped", { exit: 3 }));
  }
  const exits = (path: string) =>
    Deno.readTextFileSync(path).trim().split("\n").map((line) => JSON.parse(line).data.exit);
  assertEquals(exits(`${file}.moved`), [1]);
  assertEquals(exits(`${file}.again`), [2, 3]);
});

Deno.test("without a file there is nothing to reopen", async () => {
  await using log = open({ stderr: catcher().stderr });
  assertEquals(await log.reopen(), []);
});

Deno.test("a write that fails never throws, is counted, and is told afterwards", async () => {
  const { caught, stderr } = catcher();
  await using log = open({ stderr, readable: false });
  caught.fail = "Broken pipe";
  log.write(record("info", "daemon_stopped", { exit: 1 }));
  log.write(record("info", "daemon_stopped", { exit: 2 }));
  await log.flush();
  assertEquals(log.lost, 2);
  caught.fail = undefined;
  log.write(record("info", "daemon_stopped", { exit: 3 }));
  await log.flush();
  const [first, second] = caught.text.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(first.data, { exit: 3 });
  assertEquals([second.event, second.level], ["log_lost", "warn"]);
  assertEquals(second.data, { lines: 2, reason: "Broken pipe" });
});

Deno.test("last words are written at once", async () => {
  const { caught, stderr } = catcher();
  await using log = open({ stderr, readable: false });
  log.write(record("error", "internal_error", { where: "x", error: "y" }));
  log.flushSync();
  assertStringIncludes(caught.text, "internal_error");
});

Deno.test("a file that cannot be opened ends the start with its name", () => {
  using where = directory();
  const failure = assertThrows(() => open({ places: [where.path] }), Failure);
  assertStringIncludes(failure.message, `cannot open log file "${where.path}"`);
});

Deno.test("what libraries log about themselves is not lost", async () => {
  const { caught, stderr } = catcher();
  {
    await using _log = open({ stderr, readable: false });
    getLogger(["logtape", "meta"]).warn("a sink failed");
  }
  const { event, data } = JSON.parse(caught.text);
  assertEquals([event, data], ["internal_error", {
    where: "logtape.meta",
    error: "a sink failed",
  }]);
});

Deno.test("other settings: opened before, in use from commit on, nothing lost between", async () => {
  using where = directory();
  const [first, second] = ["a.log", "b.log"].map((name) => `${where.path}/${name}`);
  const events = (file: string) =>
    Deno.readTextFileSync(file).split("\n").filter((line) => line !== "");
  {
    await using log = open({ places: [first] });
    log.write(record("info", "daemon_ready"));
    await log.flush();
    const next = log.rebind({ level: "debug", places: [second], readable: true });
    log.write(record("debug", "process_starting"));
    next.commit();
    assertEquals(log.file, second);
    log.write(record("debug", "process_stopping"));
    await log.flush();
    log.rebind({ level: "info", places: [first] }).undo();
    log.rebind({ level: "info", places: [second] }).commit();
    log.write(record("info", "daemon_stopping"));
    assertEquals(await log.reopen(), [{ file: second }]);
  }
  assertEquals(events(first).length, 1, "what was below the old level stays unwritten");
  const [stopping, ending] = events(second);
  assertStringIncludes(stopping, "process_stopping");
  assert(!stopping.includes("\x1b"), "no colours in a file");
  assertEquals(JSON.parse(ending).event, "daemon_stopping");
});

Deno.test("a file that cannot be opened leaves the log as it is", async () => {
  using where = directory();
  const file = `${where.path}/a.log`;
  {
    await using log = open({ places: [file] });
    const bad = `${file}/below.log`;
    assertThrows(() => log.rebind({ level: "info", places: [bad] }), Failure, "below.log");
    log.write(record("info", "daemon_ready"));
  }
  assertStringIncludes(Deno.readTextFileSync(file), "daemon_ready");
});
