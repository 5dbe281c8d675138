/**
 * What a service manager hears, on a real datagram socket: ready when everything serves, every reload
 * from its beginning to its end, signs of life, and the end; and that programs cannot speak for us.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { startDaemon } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { webProcess } from "../kit/programs.ts";
import { Scratch } from "../kit/scratch.ts";
import { until } from "../kit/wait.ts";

/** The manager's end. */
class Manager implements AsyncDisposable {
  readonly messages: string[] = [];
  readonly #scratch = new Scratch();
  readonly path = this.#scratch.path("notify");
  readonly #socket = Deno.listenDatagram({ transport: "unixpacket", path: this.path });
  readonly #listening = this.#listen();

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const [bytes] of this.#socket) this.messages.push(decoder.decode(bytes));
  }

  /** Whether a message that begins so has come. */
  has(begin: string): boolean {
    return this.messages.some((message) => message.startsWith(begin));
  }

  /** Waits for one that begins so. */
  heard(begin: string): Promise<string> {
    return until(
      `the message ${begin} (so far: ${JSON.stringify(this.messages)})`,
      () => this.messages.find((message) => message.startsWith(begin)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#listening;
    this.#scratch[Symbol.dispose]();
  }
}

function managed(manager: Manager, env: Record<string, string> = {}) {
  return startDaemon({
    config: { proxy: { drain_timeout: "1m" }, processes: { web: webProcess() } },
    env: { NOTIFY_SOCKET: manager.path, ...env },
    start: false,
  });
}

Deno.test("ready is said once everything serves; a long start asks for time", async () => {
  await using manager = new Manager();
  await using d = await managed(manager);
  await using gate = new Fifo(d.path("gate"));
  d.launch("--release-path", d.release("v1", { start_gate: gate.path }), "--release-id", "v1");
  await until("the program", () => d.output().includes("process_started"));
  await manager.heard("EXTEND_TIMEOUT_USEC=");
  assert(!manager.has("READY=1"), "nothing serves yet");
  gate.release();
  assertEquals(await manager.heard("READY=1"), "READY=1\nSTATUS=live: v1");
  assertEquals((await d.get()).text.trim(), "v1");
  d.kill("SIGTERM");
  await d.ended();
});

Deno.test("the status follows what is live", async () => {
  await using manager = new Manager();
  await using d = await managed(manager);
  await d.start();
  assertEquals(await manager.heard("READY=1"), "READY=1\nSTATUS=live: no release");
  await d.deploy("v1");
  await manager.heard("STATUS=live: v1");
  await d.ok("stop");
  await manager.heard("STATUS=live: no release");
});

Deno.test("a reload by SIGHUP is told from its beginning to its end, a bad one too", async () => {
  await using manager = new Manager();
  await using d = await managed(manager);
  await d.start();
  const good = d.read("supervisor.yaml")!;
  for (const text of [good.replace("drain_timeout: 1m", "drain_timeout: 2m"), "bad: ["]) {
    await manager.heard("READY=1");
    manager.messages.length = 0;
    d.write("supervisor.yaml", text);
    d.kill("SIGHUP");
    await manager.heard("READY=1");
    const [begin, end] = manager.messages;
    const micros = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(begin)?.[1];
    const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1e6;
    assert(Number(micros) > 0 && Number(micros) <= uptime + 1e6, begin);
    assertMatch(end, /^READY=1/);
  }
});

Deno.test("signs of life while it lives; the end is told and asks for the time of the drain", async () => {
  await using manager = new Manager();
  await using d = await managed(manager, { WATCHDOG_USEC: "100000" });
  await d.start();
  await d.deploy("v1");
  const alive = () => manager.messages.filter((message) => message === "WATCHDOG=1").length;
  const soFar = alive();
  await until("five signs of life", () => alive() >= soFar + 5);
  assert(
    manager.messages.findIndex((message) => message.startsWith("READY=1")) <
      manager.messages.indexOf("WATCHDOG=1"),
    "none before it is ready",
  );
  const held = d.get(`/wait?flag=${d.path("flag")}`);
  await d.statusUntil("the request", ({ leases }) => leases === 1);
  d.kill("SIGTERM");
  await manager.heard("STOPPING=1");
  const asked = await until(
    "more time",
    () => manager.messages.findLast((message) => message.startsWith("EXTEND_TIMEOUT_USEC=")),
  );
  assert(Number(asked.split("=")[1]) >= 60e6, asked);
  const draining = alive();
  await until("signs of life during the drain", () => alive() > draining);
  d.write("flag", "");
  assertEquals((await held).text.trim(), "v1");
  assertEquals((await d.ended()).code, 0);
});

Deno.test("programs hear nothing of the manager, and a manager that is gone harms nobody", async () => {
  const manager = new Manager();
  await using d = await managed(manager, {
    WATCHDOG_USEC: "100000",
    LISTEN_FDS: "1",
    LISTEN_PID: "1",
    LISTEN_FDNAMES: "x",
  });
  await d.start();
  await manager[Symbol.asyncDispose]();
  await d.deploy("v1");
  const { env } = JSON.parse((await d.get("/environment")).text);
  const names = Object.keys(env).filter((name) => /^(NOTIFY|WATCHDOG|LISTEN)_/.test(name));
  assertEquals(names, []);
  assertEquals((await d.events()).filter(({ event }) => event === "internal_error"), []);
});
