import { assertEquals, assertRejects } from "@std/assert";
import { Failure } from "../../../../lib/core/failure.ts";
import type { DriverState } from "../../../../plugins/jobs/driver.ts";
import {
  ASK_LIMIT,
  CLOSE_LIMIT,
  type Connection,
  DIAL_LIMIT,
  Link,
  Links,
  MAX_WAITING,
} from "../../../../plugins/jobs/link.ts";
import { ManualClock, turn } from "../../../kit/manual_clock.ts";

/** A connection that is lost when a test says so. */
class Line implements Connection {
  readonly #lost = Promise.withResolvers<unknown>();
  readonly lost = this.#lost.promise;
  closed = 0;
  /** Does not say goodbye. */
  mute = false;

  lose(error: unknown): void {
    this.#lost.resolve(error);
  }

  close(): Promise<void> {
    this.closed++;
    return this.mute ? new Promise(() => {}) : Promise.resolve();
  }
}

/** A broker whose answers a test gives. */
class Exchange {
  readonly clock = new ManualClock();
  readonly dials: { signal: AbortSignal; answer: PromiseWithResolvers<Line> }[] = [];
  readonly link = this.make();
  readonly states: DriverState[] = [];

  constructor() {
    this.link.onState(() => this.states.push(this.link.state));
  }

  get spec() {
    return {
      whom: "broker at 1.2.3.4:5",
      fix: "start it",
      dial: (signal: AbortSignal) => {
        const answer = Promise.withResolvers<Line>();
        this.dials.push({ signal, answer });
        return answer.promise;
      },
    };
  }

  make(): Link<Line> {
    return new Link<Line>(this.spec, this.clock);
  }

  /** Answers the dial of now. */
  async answer(): Promise<Line> {
    const line = new Line();
    this.dials.at(-1)!.answer.resolve(line);
    await turn();
    return line;
  }

  async refuse(text: string): Promise<void> {
    this.dials.at(-1)!.answer.reject(new Error(text));
    await turn();
  }
}

Deno.test("link: nothing is dialled before open(), and once after it", () => {
  const { link, dials } = new Exchange();
  assertEquals([dials.length, link.state.state], [0, "connecting"]);
  link.open();
  link.open();
  assertEquals(dials.length, 1);
});

Deno.test("link: whoever waited gets the connection; later it is there at once", async () => {
  const exchange = new Exchange();
  const { link } = exchange;
  link.open();
  const waiting = [link.ready(), link.ready()];
  const line = await exchange.answer();
  assertEquals(await Promise.all(waiting), [line, line]);
  assertEquals(await link.ready(), line);
  assertEquals(link.connection, line);
  assertEquals(exchange.states, [{ state: "ready" }]);
  assertEquals(exchange.clock.pending, 0);
});

Deno.test("link: whoever cannot wait any longer hears why there is none", async () => {
  const exchange = new Exchange();
  const { link, clock } = exchange;
  link.open();
  await exchange.refuse("nobody listens");
  const why = "broker at 1.2.3.4:5 is not connected: ";
  const enough = new AbortController();
  const reached = link.reach(enough.signal);
  enough.abort(new Error("too late"));
  await assertRejects(() => reached, Failure, why);
  const asked = assertRejects(() => link.soon(), Failure, why);
  await clock.advance(ASK_LIMIT);
  await asked;
  await exchange.answer();
  assertEquals(await link.soon(), await link.reach());
  assertEquals(clock.pending, 0);
});

Deno.test("link: a failed dial is repeated for ever, later each time, and says when", async () => {
  const exchange = new Exchange();
  const { link, clock, dials, states } = exchange;
  link.open();
  const waits: number[] = [];
  for (let i = 1; i <= 8; i++) {
    assertEquals(dials.length, i);
    await exchange.refuse(`no ${i}`);
    waits.push(clock.next!);
    await clock.advance(clock.next! - 1);
    assertEquals(dials.length, i);
    await clock.advance(1);
  }
  assertEquals(waits, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
  assertEquals(states[0], {
    state: "connecting",
    error: "no 1",
    next_try_at: "2030-01-01T00:00:00.250Z",
  });
  assertEquals(link.failure().message, "broker at 1.2.3.4:5 is not connected: no 8");
  assertEquals(link.failure().fix, "start it");
});

Deno.test("link: a loss is a state, the line is closed, and dialled again", async () => {
  const exchange = new Exchange();
  const { link, clock, dials } = exchange;
  link.open();
  const line = await exchange.answer();
  line.lose(new Error("reset"));
  await turn();
  assertEquals(link.state, {
    state: "connecting",
    error: "reset",
    next_try_at: "2030-01-01T00:00:00.250Z",
  });
  assertEquals([link.connection, line.closed], [undefined, 1]);
  const waiting = link.ready();
  await clock.advance(250);
  assertEquals(dials.length, 2);
  const next = await exchange.answer();
  assertEquals(await waiting, next);
});

Deno.test("link: one that falls at once is not hammered; one that stayed begins anew", async () => {
  const exchange = new Exchange();
  const { link, clock } = exchange;
  link.open();
  const loseAfter = async (ms: number) => {
    const line = await exchange.answer();
    await clock.advance(ms);
    line.lose(new Error("gone"));
    await turn();
    const wait = clock.next!;
    await clock.advance(wait);
    return wait;
  };
  assertEquals(await loseAfter(10), 250);
  assertEquals(await loseAfter(10), 500);
  assertEquals(await loseAfter(10), 1000);
  assertEquals(await loseAfter(10_000), 250);
});

Deno.test("link: a dial has a deadline, and what comes after it is closed", async () => {
  const exchange = new Exchange();
  const { link, clock, dials } = exchange;
  link.open();
  await clock.advance(DIAL_LIMIT);
  assertEquals(dials[0].signal.aborted, true);
  assertEquals(
    link.state.state === "connecting" && link.state.error,
    "broker at 1.2.3.4:5 did not answer within 5 s",
  );
  const late = await exchange.answer();
  assertEquals([late.closed, link.connection], [1, undefined]);
  await clock.advance(250);
  assertEquals(dials.length, 2);
});

Deno.test("link: whoever stops waiting hears the own reason, and leaves nothing", async () => {
  const exchange = new Exchange();
  const { link } = exchange;
  link.open();
  const end = new AbortController();
  const waiting = link.ready(end.signal);
  end.abort("enough");
  assertEquals(await waiting.catch((reason) => reason), "enough");
  assertEquals(await link.ready(end.signal).catch((reason) => reason), "enough");
  await exchange.answer();
});

Deno.test("link: no more wait than MAX_WAITING", async () => {
  const exchange = new Exchange();
  const { link } = exchange;
  link.open();
  const waiting = Array.from({ length: MAX_WAITING }, () => link.ready());
  await assertRejects(() => link.ready(), Error, "is not connected yet");
  await exchange.answer();
  await Promise.all(waiting);
});

Deno.test("link: close ends the connection, the waiting and the dialling", async () => {
  const ready = new Exchange();
  ready.link.open();
  const line = await ready.answer();
  await ready.link.close();
  await ready.link.close();
  assertEquals([line.closed, ready.clock.pending], [1, 0]);
  line.lose(new Error("late"));
  await turn();
  await assertRejects(() => ready.link.ready(), Error, "is closed");

  const dialling = new Exchange();
  dialling.link.open();
  const refused = assertRejects(() => dialling.link.ready(), Error, "is closed");
  const closing = dialling.link.close();
  await refused;
  assertEquals(dialling.dials[0].signal.aborted, true);
  assertEquals((await dialling.answer()).closed, 1);
  await closing;
  assertEquals(dialling.clock.pending, 0);

  const mute = new Exchange();
  mute.link.open();
  let over = false;
  const waited = mute.link.close().then(() => over = true);
  await mute.clock.advance(CLOSE_LIMIT - 1);
  assertEquals(over, false, "a dial that does not end is waited for");
  await mute.clock.advance(1);
  await waited;

  const waiting = new Exchange();
  waiting.link.open();
  await waiting.refuse("no");
  await waiting.link.close();
  assertEquals(waiting.clock.pending, 0);
});

Deno.test("link: one that does not say goodbye delays the end by CLOSE_LIMIT", async () => {
  const exchange = new Exchange();
  exchange.link.open();
  (await exchange.answer()).mute = true;
  let over = false;
  const closing = exchange.link.close().then(() => over = true);
  await exchange.clock.advance(CLOSE_LIMIT - 1);
  assertEquals(over, false);
  await exchange.clock.advance(1);
  await closing;
});

Deno.test("links: shared by key, closed by the last user", async () => {
  const exchange = new Exchange();
  await using links = new Links<Line>(exchange.clock);
  const one = links.borrow("a", exchange.spec);
  assertEquals(links.borrow("a", exchange.spec), one);
  const line = await exchange.answer();
  assertEquals(exchange.dials.length, 1);
  const other = links.borrow("b", exchange.spec);
  assertEquals(exchange.dials.length, 2);
  await links.giveBack("a");
  assertEquals(line.closed, 0);
  await links.giveBack("a");
  assertEquals(line.closed, 1);
  const rest = await exchange.answer();
  assertEquals(await other.ready(), rest);
  await links[Symbol.asyncDispose]();
  assertEquals(rest.closed, 1);
});
