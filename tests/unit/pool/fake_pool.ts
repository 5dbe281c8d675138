/** A pool on a fake system, whose workers do what a test tells them, on a clock of the test. */

import { Bit, Flag } from "../../../lib/goridge/codes.ts";
import type { RelayDoors } from "../../../lib/goridge/doors.ts";
import { type Frame, FrameBroken, type OutFrame, type Relay } from "../../../lib/goridge/relay.ts";
import type { WorkerPool } from "../../../lib/pool/contract.ts";
import { openPool } from "../../../lib/pool/pool.ts";
import type { PoolSpec } from "../../../lib/pool/types.ts";
import type { Events } from "../../../lib/telemetry/events.ts";
import { type FakeChild, FakeSystem } from "../../kit/fake_system.ts";
import { ManualClock } from "../../kit/manual_clock.ts";
import { FakeOutput } from "../process/world.ts";

const utf8 = new TextEncoder();

/** A worker that does what the test tells it. */
export class FakeRelay implements Relay {
  /** Requests that are not answered. */
  readonly asked: OutFrame[] = [];
  deaf = false;
  /** As of a relay over TCP. */
  lags = false;
  /** Who it is it says when the test lets it, by sayPid(). */
  reserved = false;
  closed = false;
  /** What is sent is not out before this. */
  slow: Promise<void> | undefined;
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
    if (frame.lead !== undefined && !this.reserved) this.sayPid();
    if ((flags & Flag.control) === 0) {
      if ((frame.bits ?? 0) === Bit.stop && this.streaming) this.answer("", false);
      else if (frame.options !== undefined) this.asked.push(frame);
      if (this.slow !== undefined) return this.slow.then(() => true);
    } else if (text.includes("stop")) queueMicrotask(() => this.child.exit(0));
    else if (!this.reserved) this.sayPid();
    return Promise.resolve(true);
  }

  sayPid(): void {
    this.frame({ flags: Flag.control, payload: utf8.encode('{"pid":1}') });
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

export class World {
  readonly clock = new ManualClock();
  readonly system = new FakeSystem(this.clock);
  readonly relays: FakeRelay[] = [];
  readonly booked = new Set<number>();
  readonly bugs: Events["internal_error"][] = [];
  /** How the next workers come up. */
  start: "well" | "exit" | "mute" | "held" = "well";
  /** Those that were started `held` come up. */
  readonly held = Promise.withResolvers<void>();
  readonly end = new AbortController();

  readonly doors: RelayDoors = {
    open: () => {
      const expect = (): Promise<Relay> => {
        const child = this.system.last;
        if (this.start === "exit") queueMicrotask(() => child.exit(1));
        const up = () => {
          const relay = new FakeRelay(child);
          this.relays.push(relay);
          return relay;
        };
        if (this.start === "held") return this.held.promise.then(up);
        return this.start === "well" ? Promise.resolve(up()) : new Promise(() => {});
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
