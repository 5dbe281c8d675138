/**
 * Random lives of a whole pool on a fake system with fake relays: whatever workers and callers do in
 * whatever order, everybody is answered once, the accounts agree, and nothing is left behind.
 */

import { assert, assertEquals } from "@std/assert";
import { Bit, Flag } from "../../../lib/goridge/codes.ts";
import type { RelayDoors } from "../../../lib/goridge/doors.ts";
import { type Frame, FrameBroken, type OutFrame, type Relay } from "../../../lib/goridge/relay.ts";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import { openPool } from "../../../lib/pool/pool.ts";
import type { Answer, PoolCall, PoolSpec } from "../../../lib/pool/types.ts";
import type { Events } from "../../../lib/telemetry/events.ts";
import { type FakeChild, FakeSystem } from "../../kit/fake_system.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { forSeeds, type Random } from "../../kit/random.ts";
import { FakeOutput } from "../process/world.ts";
import { never, SETTINGS } from "./kit.ts";

const utf8 = new TextEncoder();

/** A worker that does what the test tells it. */
class FakeRelay implements Relay {
  /** Requests that are not answered. */
  readonly asked: OutFrame[] = [];
  deaf = false;
  closed = false;
  /** The last answer was no last part. */
  streaming = false;
  readonly #frames: (Frame | FrameBroken | undefined)[] = [];
  #reader: (() => void) | undefined;

  constructor(readonly child: FakeChild) {
    child.exited.then(() => this.#push(undefined));
  }

  send(frame: OutFrame): Promise<boolean> {
    if (this.closed) return Promise.resolve(false);
    const flags = frame.flags;
    const text = new TextDecoder().decode(frame.parts?.[0]);
    if (this.deaf) return Promise.resolve(true);
    if ((flags & Flag.control) === 0) {
      if ((frame.bits ?? 0) === Bit.stop && this.streaming) this.answer("", false);
      else if (frame.options !== undefined) this.asked.push(frame);
    } else if (text.includes("stop")) queueMicrotask(() => this.child.exit(0));
    else this.frame({ flags: Flag.control, payload: utf8.encode('{"pid":1}') });
    return Promise.resolve(true);
  }

  async receive(): Promise<Frame | undefined> {
    while (this.#frames.length === 0 && !this.closed) {
      await new Promise<void>((resolve) => this.#reader = resolve);
    }
    const next = this.closed ? undefined : this.#frames.shift();
    if (next instanceof FrameBroken) throw next;
    return next;
  }

  close(): void {
    this.closed = true;
    this.#reader?.();
  }

  frame(frame: Partial<Frame>): void {
    this.#push({ flags: 0, bits: 0, options: [], payload: new Uint8Array(0), ...frame });
  }

  answer(context: string, more: boolean): void {
    this.streaming = more;
    if (!more) this.asked.shift();
    const payload = utf8.encode(context);
    this.frame({ bits: more ? Bit.stream : 0, options: [payload.length], payload });
  }

  garbage(): void {
    this.#push(new FrameBroken('the worker printed to stdout: "oops"', "oops"));
  }

  #push(frame: Frame | FrameBroken | undefined): void {
    this.#frames.push(frame);
    this.#reader?.();
  }
}

class World {
  readonly clock = new ManualClock();
  readonly system = new FakeSystem(this.clock);
  readonly relays: FakeRelay[] = [];
  readonly booked = new Set<number>();
  readonly bugs: Events["internal_error"][] = [];
  /** How the next workers come up. */
  start: "well" | "exit" | "mute" = "well";
  readonly end = new AbortController();

  readonly doors: RelayDoors = {
    open: () => {
      const expect = (): Promise<Relay> => {
        const child = this.system.last;
        if (this.start === "exit") queueMicrotask(() => child.exit(1));
        if (this.start !== "well") return new Promise(() => {});
        const relay = new FakeRelay(child);
        this.relays.push(relay);
        return Promise.resolve(relay);
      };
      return Promise.resolve({ dsn: "tcp://here:1", expect, close: () => {} });
    },
  };

  pool(settings: PoolSpec["settings"]): WorkerPool {
    const worker = { argv: ["php"], command: "php", cwd: "/", env: {}, relay: "tcp://here:1" };
    return openPool({ plugin: "http", name: "http", release: "v1", worker, settings }, {
      system: this.system,
      clock: this.clock,
      emit: (event, data) => {
        if (event === "internal_error") this.bugs.push(data as Events["internal_error"]);
      },
      output: new FakeOutput(this.clock),
      signal: this.end.signal,
      doors: this.doors,
      booked: ({ pid }) => void this.booked.add(pid),
      unbooked: ({ pid }) => void this.booked.delete(pid),
    });
  }

  /** Workers that have something to answer. */
  get busy(): FakeRelay[] {
    return this.relays.filter(({ asked, child, closed }) => {
      return asked.length > 0 && child.alive && !closed;
    });
  }

  get living(): FakeRelay[] {
    return this.relays.filter(({ child, closed }) => child.alive && !closed);
  }
}

interface Asked {
  call: PoolCall;
  settled: number;
  answer?: Answer;
}

function ask(pool: WorkerPool, id: number, all: Asked[]): void {
  const context = utf8.encode(String(id));
  const call = pool.call({ flags: 8, context, body: [], what: String(id) });
  const asked: Asked = { call, settled: 0 };
  all.push(asked);
  call.answer.then((answer) => {
    asked.settled++;
    asked.answer = answer;
    // Never somebody else's.
    if (answer.context.length > 0) {
      assertEquals(new TextDecoder().decode(answer.context), String(id));
    }
  }, () => asked.settled++);
}

/** Answers the request that a worker has with its own text. */
function reply(relay: FakeRelay, more: boolean): void {
  const id = new TextDecoder().decode(relay.asked[0].parts![0]);
  relay.answer(id, more);
}

const ACTS = [
  ...["ask", "ask", "ask", "ask", "reply", "reply", "reply", "reply", "stream", "part", "part"],
  ...["next", "next", "cancel", "leave", "error", "twice", "garbage", "exit", "die", "deaf"],
  ...["reset", "resize", "tick", "tick", "second", "minute", "well", "well", "exits", "mute"],
  ...["fork", "options"],
];

async function act(what: string, random: Random, world: World, pool: WorkerPool, all: Asked[]) {
  const busy = world.busy.length > 0 ? random.pick(world.busy) : undefined;
  const living = world.living.length > 0 ? random.pick(world.living) : undefined;
  const asked = all.length > 0 ? random.pick(all) : undefined;
  switch (what) {
    case "ask":
      return ask(pool, all.length, all);
    case "reply":
      return busy && (busy.streaming ? busy.answer("", false) : reply(busy, false));
    case "stream":
      return busy && !busy.streaming && reply(busy, true);
    case "part":
      return busy?.streaming && busy.answer("", true);
    case "next":
      return void asked?.answer?.next().catch(() => {});
    case "cancel":
      return asked?.call.cancel();
    case "leave": {
      if (busy === undefined || busy.streaming) return;
      return busy.answer('{"stop":true}', false);
    }
    case "error":
      busy?.asked.shift();
      if (busy) busy.streaming = false;
      return busy?.frame({ flags: Flag.error, payload: utf8.encode("boom") });
    case "twice":
      return living?.answer("", false);
    case "options":
      return busy?.frame({ options: [1, 2] });
    case "garbage":
      return living?.garbage();
    case "exit":
    case "die":
      return living?.child.exit(what === "exit" ? 0 : null, what === "exit" ? null : "SIGKILL");
    case "deaf":
      living?.child.deaf.add("SIGTERM");
      return living && void (living.deaf = true);
    case "fork":
      return void living?.child.fork();
    case "reset":
      return void pool.reset(never).catch(() => {});
    case "resize":
      return void pool.resize(random.int(1, 5), never).catch(() => {});
    case "well":
      return void (world.start = "well");
    case "exits":
      return void (world.start = "exit");
    case "mute":
      return void (world.start = "mute");
    case "tick":
      return await world.clock.advance(5);
    case "second":
      return await world.clock.advance(1_000);
    case "minute":
      return await world.clock.advance(61_000);
  }
}

Deno.test("random pools: everybody is answered once, the accounts agree, nothing is left", async () => {
  await forSeeds(150, async (random) => {
    const world = new World();
    const dynamic = { max_workers: 2, spawn_rate: 1, idle_timeout: 5_000 };
    const pool = world.pool({
      ...SETTINGS,
      num_workers: random.int(1, 4),
      max_jobs: random.pick([0, 0, 1, 3]),
      max_queue_size: random.pick([0, 0, 5]),
      max_surge: random.int(1, 2),
      debug: random.chance(0.1),
      dynamic_allocator: random.pick([undefined, dynamic]),
      supervisor: {
        watch_tick: 1_000,
        ttl: random.pick([0, 20_000]),
        idle_ttl: random.pick([0, 5_000]),
        exec_ttl: random.pick([0, 3_000]),
        max_worker_memory: random.pick([0, 0, 500_000]),
      },
    });
    const started = pool.start(never);
    await world.clock.advance(100);
    await started;
    const all: Asked[] = [];
    for (let n = 0; n < 80; n++) {
      await act(random.pick(ACTS), random, world, pool, all);
      await world.clock.advance(0);
      const { idle, busy, starting, target, queue } = pool.snapshot();
      assertEquals(idle + busy + starting, target);
      assert(queue === 0 || idle === 0, "somebody waits while somebody is free");
      assert(all.every(({ settled }) => settled <= 1));
    }
    if (random.chance(0.3)) pool.quiesce();
    const destroyed = pool.destroy();
    if (random.chance(0.3)) pool.hurry(random.int(0, 1_000));
    await world.clock.advance(200_000);
    assertEquals(await destroyed, []);
    assertEquals(all.filter(({ settled }) => settled !== 1).length, 0, "somebody was not answered");
    assertEquals(world.bugs, []);
    assertEquals([...world.booked], []);
    assertEquals(world.system.children.filter(({ alive }) => alive).length, 0);
    assertEquals(world.system.waiting, 0);
    assertEquals(world.clock.pending, 0, "a timer was left");
  });
});
