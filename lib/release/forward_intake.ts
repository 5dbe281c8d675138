/**
 * Forwarding to programs that listen on a port themselves: the intake of the public address.
 *
 * Invariants: the address listens from `start` until the daemon's drain, whatever releases come and
 * go; another address is bound before the old one is let go. Arrivals are held back exactly while
 * the live release has upstreams, none of them is ready, and one may come back by itself.
 */

import type { Config, ProxyConfig } from "../config/config.ts";
import { Failure } from "../core/failure.ts";
import { type Draining, Gate } from "../core/gate.ts";
import {
  forward,
  type ForwardSettings,
  forwardSettings,
  type Front,
  frontOptions,
  ListeningAddress,
  type UpstreamSet,
} from "../http/mod.ts";
import type { System } from "../os/system.ts";
import type { WorkerPool } from "../pool/contract.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Drained, Intake, IntakeSnapshot, Rebinding, ReleaseContext } from "./intake.ts";

/** The proxy of one daemon. */
export class ForwardIntake implements Intake<UpstreamSet> {
  readonly name = "proxy";
  readonly gate: Gate<UpstreamSet>;
  readonly #address: ListeningAddress;
  #proxy: ProxyConfig | undefined;
  /** As last configured: what a removed section leaves behind is still finished. */
  #drainBudget = 0;
  #settings: ForwardSettings | undefined;
  #live: ReleaseContext | undefined;
  /** What build() made, so that swap() finds the release of a generation. */
  readonly #built = new WeakMap<UpstreamSet, ReleaseContext>();
  #down: { since: number } | undefined;

  constructor(config: Config, readonly system: System, readonly emit: Emit) {
    this.gate = new Gate(system.clock);
    this.#address = new ListeningAddress(this.name, { system, emit });
    this.#proxy = proxyOf(config);
  }

  /** The front in use; undefined when nothing is forwarded. */
  get front(): Front | undefined {
    return this.#address.front;
  }

  /** @throws Failure naming the address and what is in the way. */
  start(): Promise<void> {
    if (this.#proxy !== undefined) {
      const front = this.#open(this.#proxy);
      this.#adopt(front, this.#proxy);
      this.#address.use(front, 0);
    }
    return Promise.resolve();
  }

  /**
   * Binds the address of `next` if it differs; the old one stays in use until commit().
   * @throws Failure when it cannot be bound
   */
  rebind(next: Config): Rebinding | undefined {
    const proxy = proxyOf(next);
    if (addressOf(proxy) === addressOf(this.#proxy)) {
      if (proxy?.front === this.#proxy?.front) return undefined;
      throw new Failure("proxy.front cannot change while the address stays the same", {
        fix: "change proxy.address too, or shut the daemon down and start it again",
      });
    }
    const front = proxy === undefined ? undefined : this.#open(proxy);
    return {
      commit: () => {
        const budget = this.#drainBudget;
        if (proxy === undefined || front === undefined) this.#proxy = undefined;
        else this.#adopt(front, proxy);
        this.#address.use(front, budget);
      },
      undo: () => front?.cut(),
    };
  }

  /** Takes on newer limits, time-outs and trusted proxies. */
  configure(config: Config): void {
    const proxy = proxyOf(config);
    const { front } = this.#address;
    if (proxy === undefined || front === undefined) return;
    this.#adopt(front, proxy);
    front.configure(frontOptions(proxy));
    this.#readiness();
  }

  /** The programs are started and proven by the release itself; what is taken in is their set. */
  build(release: ReleaseContext): Promise<UpstreamSet> {
    this.#built.set(release.upstreams, release);
    return Promise.resolve(release.upstreams);
  }

  swap(next: UpstreamSet | undefined): Draining {
    if (this.#live !== undefined) this.#live.onReadiness = undefined;
    this.#live = next === undefined ? undefined : this.#built.get(next);
    const draining = this.gate.swap(next);
    this.#down = undefined;
    if (this.#live !== undefined) {
      this.#live.onReadiness = () => this.#readiness();
      this.#readiness();
    }
    return draining;
  }

  drop(generation: UpstreamSet): Promise<void> {
    for (const upstream of generation.list()) upstream.close();
    return Promise.resolve();
  }

  drain(ms: number): Promise<Drained> {
    return this.#address.drain(ms);
  }

  /** Ends every client connection now. */
  cut(): void {
    this.#address.cut();
  }

  drainBudget(): number {
    return this.#drainBudget;
  }

  pools(): readonly WorkerPool[] {
    return [];
  }

  snapshot(): IntakeSnapshot {
    const { printed: address, state } = this.#address;
    return { name: this.name, address, state };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    return Promise.resolve();
  }

  /** Holds arrivals back or lets them go, after something changed in the live release. */
  #readiness(): void {
    const live = this.#live;
    if (live === undefined || this.#proxy === undefined) return;
    const upstreams = live.upstreams.list();
    const ready = upstreams.some((upstream) => upstream.ready);
    const { clock } = this.system;
    if (!ready && upstreams.length > 0 && this.#down === undefined) {
      this.#down = { since: clock.now() };
      this.emit("upstreams_down", { release: live.release_id, hold_ms: this.#proxy.hold });
    }
    if (ready && this.#down !== undefined) {
      const after_ms = Math.round(clock.now() - this.#down.since);
      this.#down = undefined;
      this.emit("upstreams_back", { release: live.release_id, after_ms });
    }
    const hold = !ready && upstreams.length > 0 && live.hopeful && this.#proxy.hold > 0;
    if (hold) this.gate.hold(this.#proxy.hold);
    else if (this.gate.holding) this.gate.open();
  }

  #adopt(front: Front, proxy: ProxyConfig): void {
    this.#proxy = proxy;
    this.#drainBudget = proxy.drain_timeout;
    this.#settings = forwardSettings(proxy, front.address.port);
  }

  #open(proxy: ProxyConfig): Front {
    const { clock } = this.system;
    const { emit } = this;
    // Until a new address is committed, what comes there is served by its own settings.
    const own = forwardSettings(proxy, proxy.address.port);
    return this.#address.open({
      where: proxy.address,
      field: "proxy.address",
      kind: proxy.front,
      options: frontOptions(proxy),
      handler: (inUse) =>
        forward(this.gate, () => inUse() ? this.#settings ?? own : own, { clock, emit }),
    });
  }
}

/** The proxy section, when there is something to forward to. */
function proxyOf(config: Config): ProxyConfig | undefined {
  return config.processes.some((process) => process.policy === "proxied")
    ? config.proxy
    : undefined;
}

function addressOf(proxy: ProxyConfig | undefined): string {
  return proxy === undefined ? "" : `${proxy.address.host}:${proxy.address.port}`;
}
