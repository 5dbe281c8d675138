import { assertEquals } from "@std/assert";
import { Outlet } from "../../../lib/telemetry/outlet.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

/** A target that takes one write at a time, when told. */
class Gatekeeper {
  readonly written: string[] = [];
  readonly sync: string[] = [];
  reopened = 0;
  closed = false;
  #gate: PromiseWithResolvers<void> | undefined;

  write(lines: Uint8Array): Promise<void> {
    this.written.push(new TextDecoder().decode(lines));
    this.#gate = Promise.withResolvers();
    return this.#gate.promise;
  }
  writeSync(lines: Uint8Array): void {
    this.sync.push(new TextDecoder().decode(lines));
  }
  reopen(): string | undefined {
    this.reopened++;
    return undefined;
  }
  close(): void {
    this.closed = true;
  }

  /** Lets the current write end. */
  async pass(error?: Error): Promise<void> {
    if (error === undefined) this.#gate!.resolve();
    else this.#gate!.reject(error);
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }
}

const turn = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

Deno.test("lines of one turn are one write; lines meanwhile are the next", async () => {
  const target = new Gatekeeper();
  const outlet = new Outlet(target, new ManualClock());
  outlet.put("a\n");
  outlet.put("b\n");
  await turn();
  outlet.put("c\n");
  outlet.put("d\n");
  assertEquals(target.written, ["a\nb\n"]);
  await target.pass();
  assertEquals(target.written, ["a\nb\n", "c\nd\n"]);
  const flushed = outlet.flush();
  await target.pass();
  await flushed;
  assertEquals(outlet.lost, 0);
});

Deno.test("lost lines are counted, and told once when writing works again", async () => {
  const target = new Gatekeeper();
  const told: [number, string][] = [];
  const outlet = new Outlet(target, new ManualClock(), (...loss) => told.push(loss));
  outlet.put("a\n");
  outlet.put("b\n");
  await turn();
  await target.pass(new Error("disk full"));
  assertEquals([outlet.lost, told], [2, []]);
  outlet.put("c\n");
  await turn();
  await target.pass();
  assertEquals(told, [[2, "disk full"]]);
  outlet.put("d\n");
  await turn();
  await target.pass();
  assertEquals(told.length, 1);
});

Deno.test("what waits is bounded while the target hangs", async () => {
  const target = new Gatekeeper();
  const outlet = new Outlet(target, new ManualClock());
  outlet.put("first\n");
  await turn();
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < 2000; i++) outlet.put(line);
  assertEquals(outlet.lost, 2000 - 1024);
  await target.pass();
  assertEquals(target.written[1].length, 1024 * 1024);
  await target.pass();
});

Deno.test("reopen happens between two writes", async () => {
  const target = new Gatekeeper();
  const outlet = new Outlet(target, new ManualClock());
  outlet.put("a\n");
  await turn();
  const reopened = outlet.reopen();
  await turn();
  assertEquals(target.reopened, 0);
  await target.pass();
  assertEquals([await reopened, target.reopened], [undefined, 1]);
});

Deno.test("the last words are written at once", () => {
  const target = new Gatekeeper();
  const outlet = new Outlet(target, new ManualClock());
  outlet.put("a\n");
  outlet.put("b\n");
  outlet.flushSync();
  assertEquals(target.sync, ["a\nb\n"]);
});

Deno.test("closing waits for a slow target, but not for ever", async () => {
  const clock = new ManualClock();
  const target = new Gatekeeper();
  const outlet = new Outlet(target, clock);
  outlet.put("a\n");
  const closed = outlet[Symbol.asyncDispose]();
  await clock.advance(1999);
  assertEquals(target.closed, false);
  await clock.advance(1);
  await closed;
  assertEquals(target.closed, true);
  await target.pass();
});
