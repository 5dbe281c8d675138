/**
 * Forwarding to programs that listen on a port themselves: the intake of the public address.
 *
 * Invariants: the address listens from `start` until the daemon's drain, whatever releases come and
 * go; another address is bound before the old one is let go. Arrivals are held back exactly while
 * the live release has upstreams, none of them is ready, and one may come back by itself.
 */

import type { Config, ProxyConfig } from "../config/config.ts";
import { Failure, messageOf } from "../core/failure.ts";
import { type Draining, Gate } from "../core/gate.ts";
import {
  forward,
  type ForwardSettings,
  forwardSettings,
  type Front,
  frontOptions,
  openFront,
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
  #front: Front | undefined;
  /** Fronts on their way out. */
  readonly #leaving = new Set<Front>();
  #proxy: ProxyConfig | undefined;
  #settings: ForwardSettings | undefined;
  #live: ReleaseContext | undefined;
  /** What build() made, so that swap() finds the release of a generation. */
  readonly #built = new WeakMap<UpstreamSet, ReleaseContext>();
  #down: { since: number } | undefined;

  constructor(config: Config, readonly system: System, readonly emit: Emit) {
    this.gate = new Gate(system.clock);
    this.#proxy = proxyOf(config);
  }

  /** The front in use; undefined when nothing is forwarded. */
  get front(): Front | undefined {
    return this.#front;
  }

  /** @throws Failure naming the address and what is in the way. */
  start(): Promise<void> {
    if (this.#proxy !== undefined) this.#use(this.#open(this.#proxy), this.#proxy);
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
        const old = this.#front;
        const budget = this.#proxy?.drain_timeout ?? 0;
        if (proxy === undefined || front === undefined) {
          this.#front = this.#proxy = undefined;
        } else this.#use(front, proxy);
        if (old !== undefined) void this.#close(old, budget);
      },
      undo: () => front?.cut(),
    };
  }

  /** Takes on newer limits, time-outs and trusted proxies. */
  configure(config: Config): void {
    const proxy = proxyOf(config);
    if (proxy === undefined || this.#front === undefined) return;
    this.#proxy = proxy;
    this.#settings = forwardSettings(proxy, this.#front.address.port);
    this.#front.configure(frontOptions(proxy));
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

  async drain(ms: number): Promise<Drained> {
    const fronts = [...this.#leaving];
    if (this.#front !== undefined) fronts.push(this.#front);
    const drained = await Promise.all(fronts.map((front) => this.#close(front, ms)));
    return { cut: drained.reduce((sum, one) => sum + one.cut, 0) };
  }

  /** Ends every client connection now. */
  cut(): void {
    this.#front?.cut();
    for (const front of this.#leaving) front.cut();
  }

  drainBudget(): number {
    return this.#proxy?.drain_timeout ?? 0;
  }

  pools(): readonly WorkerPool[] {
    return [];
  }

  snapshot(): IntakeSnapshot {
    return {
      name: this.name,
      address: this.#front === undefined ? "" : printed(this.#front.address),
      state: this.#front === undefined
        ? "closed"
        : this.#leaving.has(this.#front)
        ? "draining"
        : "open",
    };
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

  #use(front: Front, proxy: ProxyConfig): void {
    this.#front = front;
    this.#proxy = proxy;
    this.#settings = forwardSettings(proxy, front.address.port);
  }

  #open(proxy: ProxyConfig): Front {
    const { clock } = this.system;
    const { host: hostname, port } = proxy.address;
    const host = { clock, emit: this.emit };
    try {
      const place = proxy.front === "raw" ? Deno.listen({ hostname, port }) : { hostname, port };
      // Until a new address is committed, what comes there is served by its own settings.
      const own = forwardSettings(proxy, port);
      const settings = () => this.#front === front ? this.#settings ?? own : own;
      const handler = forward(this.gate, settings, host);
      const front: Front = openFront(proxy.front, place, handler, frontOptions(proxy), host);
      this.emit("listener_bound", { name: this.name, address: printed(front.address) });
      return front;
    } catch (error) {
      throw this.#cannotListen(hostname, port, error);
    }
  }

  async #close(front: Front, ms: number): Promise<Drained> {
    const isFirst = !this.#leaving.has(front);
    this.#leaving.add(front);
    try {
      return await front.drain(ms);
    } finally {
      this.#leaving.delete(front);
      if (isFirst) {
        this.emit("listener_closed", { name: this.name, address: printed(front.address) });
      }
    }
  }

  #cannotListen(hostname: string, port: number, error: unknown): Failure {
    if (error instanceof Failure) return error;
    const address = printed({ hostname, port });
    const problem = (what: string, fix: string) =>
      new Failure(`cannot listen on ${address} (proxy.address): ${what}`, { fix, cause: error });
    if (error instanceof Deno.errors.AddrInUse) {
      const pid = this.system.listeners(port).flatMap((listener) => listener.pids).at(0);
      if (pid === Deno.pid) {
        return problem(
          "it overlaps the address this daemon listens on",
          "choose another port, or shut the daemon down and start it again",
        );
      }
      const holder = pid === undefined ? undefined : this.system.row(pid);
      const who = holder === undefined
        ? "another program"
        : `"${holder.command}" (pid ${holder.pid})`;
      return problem(
        `the address is in use by ${who}`,
        "stop that program, or choose another proxy.address",
      );
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      return problem("permission denied", "ports below 1024 need root or CAP_NET_BIND_SERVICE");
    }
    if (error instanceof Deno.errors.AddrNotAvailable) {
      return problem(
        "this machine has no such address",
        "use an address of this machine, see `ip addr`",
      );
    }
    return problem(messageOf(error), "check the host name in proxy.address");
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

/** `127.0.0.1:8182`, `[::1]:8182`. */
export function printed(address: { hostname: string; port: number }): string {
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  return `${host}:${address.port}`;
}
