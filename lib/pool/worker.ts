/**
 * One worker: a program that answers requests, one at a time, and what is known of it.
 *
 * The rules are a table (worker_life.ts, pure); this file turns frames, exits and deadlines into its
 * events, and its effects into deeds.
 *
 * Frames have no numbers, so a worker that answered twice would answer the next request with what is
 * somebody else's. Therefore every request goes out behind the question who the worker is, in one
 * write (over TCP when it has replied): what comes before that reply is no answer.
 *
 * Invariants: one exchange or self-probe at a time; whatever is not an answer to it ends the worker,
 * for the next answer could be somebody else's; after its end has begun nothing it says counts; it is
 * read at all times, but for an answer whose taker is slower than the worker; no timer of its own: its
 * deadline is looked at by its home.
 */

import type { Clock } from "../core/clock.ts";
import { Bit, Flag } from "../goridge/codes.ts";
import { askPid, PONG, STOP, STREAM_STOP } from "../goridge/control.ts";
import { request as frameOf, type Split, split } from "../goridge/exchange.ts";
import { encode } from "../goridge/frame.ts";
import { textOf } from "../goridge/printed.ts";
import { type Frame, FrameBroken, type Relay } from "../goridge/relay.ts";
import type { ProcRow } from "../os/system.ts";
import { type Asker, Exchange, isStop, type Listener } from "./exchange.ts";
import type { Departure, Usage, WorkerHome } from "./home.ts";
import { jobsLimit, markFor, Meter } from "./limits.ts";
import { Patience } from "./patience.ts";
import { BORN, isBusy, isFree, type Life, type LifeEvent, type Mark, step } from "./worker_life.ts";
import type { Way, WorkerProcess } from "./worker_process.ts";
import { PoolError, type PoolErrorKind, type PoolRequest } from "./types.ts";

/** The question that goes out in front of every request. */
const WHO = encode(askPid(Deno.pid));

/** See the file's comment. */
export class Worker implements Listener {
  /** Requests it was given, warm-up not counted. */
  jobs = 0;
  /** Of these, how many it answered. */
  served = 0;
  /** Clock milliseconds of the end of its last answer or probe. */
  restingSince: number;
  readonly #meter = new Meter();
  /** Why it gave up its place, when it has. */
  departure: Departure = "died";
  /** What went wrong with it; undefined: nothing. */
  trouble: string | undefined;
  /** Resolves when its end begins: no request is in progress any more. */
  readonly ending: Promise<void>;
  readonly #ending = Promise.withResolvers<void>();
  /** Resolves when nothing of it is left (but what outlived SIGKILL). */
  readonly gone: Promise<void>;
  readonly #gone = Promise.withResolvers<void>();
  readonly #home: WorkerHome;
  readonly #clock: Clock;
  readonly #relay: Relay;
  /** Decides how many requests it takes more than others. */
  readonly #chance = Math.random();
  #life: Life = BORN;
  #exchange: Exchange | undefined;
  #probing = false;
  /** It was asked who it is and has not replied: nothing it says is an answer yet. */
  #asked = false;
  /** The request is on its way to the worker. */
  #sending = false;
  /** The last frame of the answer came before the request was written whole. */
  #early = false;
  #since = 0;
  /** It ended inside a frame. */
  #cutOff = false;
  readonly #patience: Patience;

  /**
   * `ownPid`: as it says itself; the leader's unless a wrapper started it. `asks`: it answers the
   * question who it is at any time.
   */
  constructor(
    readonly instance: string,
    readonly process: WorkerProcess,
    readonly ownPid: number,
    relay: Relay,
    home: WorkerHome,
    readonly asks: boolean,
  ) {
    this.#relay = relay;
    this.#home = home;
    this.#clock = home.clock;
    this.#patience = new Patience(() => home.settings, (at) => home.due(at));
    this.ending = this.#ending.promise;
    this.gone = this.#gone.promise;
    this.restingSince = this.#clock.now();
    relay.onBytes = this.#stirred;
    this.#watch(this.#listen());
  }

  get pid(): number {
    return this.process.id.pid;
  }

  get free(): boolean {
    return isFree(this.#life);
  }

  get busy(): boolean {
    return isBusy(this.#life);
  }

  /** Its end has begun. */
  get ended(): boolean {
    return this.#life.ending;
  }

  /** When somebody has to look whether it is overdue. */
  get deadline(): number {
    return this.#patience.deadline;
  }

  /** Requests it takes at most. */
  get #most(): number {
    return jobsLimit(this.#home.maxJobs, this.#chance);
  }

  // What the pool asks of it.

  /** It has warmed up: it may be handed out. */
  proven(): void {
    this.#take({ type: "proven" });
  }

  /** Gives it a request; only while it is free (or warms up). */
  exec(request: PoolRequest, asker: Asker): void {
    this.#exchange = new Exchange(request, asker, this);
    this.#take({ type: "take" });
    const now = this.#since = this.#clock.now();
    const warming = this.#life.state === "inactive";
    if (!warming && ++this.jobs >= this.#most) this.#home.lastJob(this);
    this.#patience.asked(now, request.exec_ttl);
    if (!this.asks) return this.#send(request);
    this.#asked = true;
    if (this.#relay.lags) this.#relay.send(askPid(Deno.pid));
    else this.#send(request, WHO);
  }

  /** Asks an idle worker whether it still listens; only one that `asks`. */
  probe(): void {
    this.#take({ type: "take" });
    this.#probing = this.#asked = true;
    this.#since = this.#clock.now();
    this.#patience.probed(this.#since);
    this.#relay.send(askPid(Deno.pid));
  }

  /** Looks whether it has reached a soft limit; `row`: as the process table has it now. */
  inspect(row: ProcRow | undefined): Mark | undefined {
    const now = this.#clock.now();
    const { rss_bytes } = this.#meter.read(row, now);
    const used = this.free && this.jobs > 0;
    const idle = used ? now - this.restingSince : undefined;
    const age = now - this.process.startedAt;
    const mark = markFor({ age, idle, rss_bytes }, this.#home.settings.supervisor);
    if (mark !== undefined) this.#take({ type: "mark", mark });
    return mark;
  }

  /** Its place is taken: it goes when its answer is out, after `within` milliseconds at the latest. */
  leave(within = Infinity): void {
    if (this.busy && within !== Infinity) this.#patience.leave(this.#clock.now() + within);
    this.#take({ type: "leave" });
  }

  /** It goes now; its request, if any, is refused with `error`. */
  destroy(kind: PoolErrorKind, message: string): void {
    this.#refuse(new PoolError(kind, message, this.pid));
    this.#take({ type: "destroy" });
  }

  /** It did not prove itself: it is killed. */
  discard(): Promise<void> {
    this.#take({ type: "fail" });
    return this.gone;
  }

  /** Does what is due. */
  look(now: number): void {
    const overdue = this.#patience.look(now);
    if (overdue === undefined) return;
    const { departure, kind, message } = this.#patience.verdict(overdue);
    if (overdue === "leave") return this.destroy(kind, message);
    this.#fail(departure, kind, message, overdue === "answer" ? "overdue" : "fail");
  }

  /** What it is at, and since when (clock milliseconds); undefined: nothing. */
  get doing(): { what: string; since: number } | undefined {
    const what = this.#probing ? "self-probe" : this.#exchange?.request.what;
    return what === undefined ? undefined : { what, since: this.#since };
  }

  get state(): Life["state"] {
    return this.#life.state;
  }

  /** What it uses; `row`: as the process table has it now. */
  usage(row: ProcRow | undefined): Usage {
    return this.#meter.read(row, this.#clock.now());
  }

  // What it says.

  async #listen(): Promise<void> {
    for (;;) {
      let frame: Frame | undefined;
      try {
        frame = await this.#relay.receive();
      } catch (error) {
        if (!(error instanceof FrameBroken)) throw error;
        this.#cutOff = error.atEnd;
        if (this.#cutOff) return; // its exit says more
        return this.#fail("broken", "broken", error.message);
      }
      if (frame === undefined) return;
      this.#received(frame);
      const pause = this.#exchange?.pause;
      if (pause !== undefined) await pause;
    }
  }

  /** Whatever this becomes, from the first byte on nobody's request shall meet it. */
  readonly #stirred = (): void => {
    if (!this.free) return;
    this.#home.withdraw(this);
    this.#take({ type: "take" });
    this.#patience.strayed(this.#clock.now());
  };

  #received(frame: Frame): void {
    const exchange = this.#exchange;
    const control = (frame.flags & Flag.control) !== 0;
    if (control && this.#asked) {
      this.#asked = false;
      if (exchange === undefined) this.#free();
      else if (this.#relay.lags) this.#send(exchange.request);
      return;
    }
    if (exchange === undefined || this.#asked || this.#early || control) {
      const said = `the worker sent a frame that nobody asked for: "${textOf(frame.payload)}"`;
      return this.#fail("broken", "broken", said);
    }
    if ((frame.bits & Bit.ping) !== 0) this.#relay.send(PONG);
    if ((frame.flags & Flag.error) !== 0) return this.#softError(exchange, frame);
    let parts: Split;
    try {
      parts = split(frame);
    } catch (error) {
      return this.#fail("broken", "broken", (error as FrameBroken).message);
    }
    const more = (frame.bits & Bit.stream) !== 0;
    if (!more && !exchange.begun && isStop(parts)) return this.#quit(exchange);
    if (more) this.#patience.awaited(this.#clock.now());
    exchange.arrived({ flags: frame.flags, ...parts, more });
    if (!more) this.#answered();
  }

  #softError(exchange: Exchange, { payload }: Frame): void {
    const error = new PoolError("worker_error", new TextDecoder().decode(payload), this.pid);
    if (!exchange.begun) {
      exchange.fail(error);
      return this.#answered();
    }
    // Where the stream stands is anybody's guess.
    this.#tell("stream", `the worker failed in mid-answer: ${textOf(payload)}`);
    this.#refuse(error);
    this.#take({ type: "quit" });
  }

  /** `{"stop":true}`: it will not answer this one, nor any other. */
  #quit(exchange: Exchange): void {
    this.departure = "stop";
    this.#exchange = undefined;
    this.#take({ type: "quit" });
    exchange.fail(new PoolError("stopping", "the worker asked to be replaced", this.pid));
  }

  #answered(): void {
    // The runtime may show the answer before the end of the write that brought the request.
    if (this.#sending) this.#early = true;
    else this.#free();
  }

  /** The exchange or the probe is over. */
  #free(): void {
    this.#early = this.#probing = false;
    this.#patience.over();
    const probed = this.#exchange === undefined;
    this.#exchange = undefined;
    this.restingSince = this.#clock.now();
    if (this.#life.state === "inactive") return;
    if (!probed && ++this.served === 1) this.#home.served(this);
    const last = !probed && this.jobs >= this.#most;
    if (last) this.departure = "max_jobs";
    this.#take({ type: "answered", last });
  }

  // What goes out.

  #send({ flags, context, body }: PoolRequest, lead?: Uint8Array): void {
    this.#sending = true;
    this.#relay.send({ ...frameOf(flags, context, body), lead }).then(this.#sent);
  }

  readonly #sent = (whole: boolean): void => {
    this.#sending = false;
    this.#patience.sent();
    // A peer that is gone shows itself to the reader, with its reasons.
    if (whole && this.#early) this.#free();
  };

  /** The taker of the answer's parts does not want the rest. */
  cancelled(): void {
    if (this.#life.ending) return;
    this.#relay.send(STREAM_STOP);
    this.#patience.cancelled(this.#clock.now());
  }

  /** The taker of the answer's parts is slower than the worker, or not any more. */
  paused(is: boolean): void {
    if (is) this.#patience.paused();
    else this.#patience.awaited(this.#clock.now());
  }

  // Its end.

  async #watch(listened: Promise<void>): Promise<void> {
    const why = await this.process.ended(listened, () => this.#exchange?.pause);
    const where = this.#cutOff ? ", in the middle of an answer" : "";
    this.#fail("died", "died", `the worker ${why}${where}`);
  }

  #fail(
    departure: Departure,
    kind: PoolErrorKind,
    message: string,
    type: "fail" | "overdue" = "fail",
  ): void {
    if (this.#life.ending) return;
    this.#tell(departure, message);
    this.#refuse(new PoolError(kind, message, this.pid));
    this.#take({ type });
  }

  #tell(departure: Departure, error: string): void {
    this.departure = departure;
    this.trouble = error;
    this.#home.failed(this, departure, error, this.#exchange?.request.what);
  }

  #refuse(error: PoolError): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.fail(error);
  }

  #take(event: LifeEvent): void {
    const { life, effects } = step(this.#life, event);
    this.#life = life;
    for (const effect of effects) {
      switch (effect) {
        case "offer":
          this.#home.offer(this);
          break;
        case "withdraw":
          this.#home.withdraw(this);
          break;
        case "part":
          this.#home.parted(this);
          break;
        default:
          this.#end(effect);
      }
    }
  }

  async #end(way: Way): Promise<void> {
    this.#patience.end();
    this.#ending.resolve();
    if (way === "kill") this.#relay.close();
    else if (way === "stop") this.#relay.send(STOP);
    this.#home.ending(this);
    const survivors = await this.process.end(way);
    this.#relay.close();
    this.#take({ type: "gone" });
    this.#home.gone(this, survivors);
    this.#gone.resolve();
  }
}
