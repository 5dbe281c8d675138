/**
 * HTTP for worker pools: the addresses, the gate, and the pool of each release.
 *
 * Invariants: the addresses listen from `start` until the daemon's drain, whatever releases come and
 * go; without an `http` section nothing listens and a generation has no pool; a request goes to the
 * pool that is live when its body is complete.
 */

import type { Config } from "../../lib/config/config.ts";
import type { HttpConfig } from "../../lib/config/roadrunner/http.ts";
import { httpOf } from "../../lib/config/roadrunner/mod.ts";
import { type Draining, Gate } from "../../lib/core/gate.ts";
import type { Front, Handler } from "../../lib/http/mod.ts";
import type { WorkerPool } from "../../lib/pool/contract.ts";
import { endPools } from "../../lib/pool/end.ts";
import { workerIdentity } from "../../lib/release/identity.ts";
import type {
  Drained,
  Intake,
  IntakeSnapshot,
  Rebinding,
  ReleaseContext,
} from "../../lib/release/intake.ts";
import { rebindAll } from "../../lib/release/rebind_all.ts";
import type { PluginHost } from "../plugin.ts";
import { accessLog } from "./access_log.ts";
import { sweepUploads, type UploadHost, uploadNames } from "./body/mod.ts";
import { DateField } from "./date.ts";
import { frontOptions } from "./front_options.ts";
import { handler, type Target } from "./handle.ts";
import { middleware } from "./middleware/mod.ts";
import { proxyIpParser } from "./middleware/proxy_ip_parser.ts";
import { type Served, Side } from "./side.ts";
import { warmupOf } from "./warmup.ts";

const NAME = "http";

/** What a release is to this intake; without a pool when its configuration has no `http`. */
export interface Generation {
  readonly target?: Target;
}

/** See the file's comment. */
export class HttpIntake implements Intake<Generation> {
  readonly name = NAME;
  readonly gate: Gate<Target>;
  readonly #host: PluginHost;
  readonly #sides: readonly Side[];
  readonly #date: DateField;
  readonly #newUploadName: () => string;
  /** Those that were built and not dropped. */
  readonly #generations = new Set<Generation>();
  /** What was made of a configuration, so that configure() has nothing left that can fail. */
  readonly #prepared = new WeakMap<Config, Served>();
  /** What is in force; undefined: no `http` section, or not started. */
  #served: Served | undefined;
  /** As last configured: what a removed section leaves behind is still finished. */
  #drainBudget = 0;
  #requests = 0;
  /** Looks for files of daemons that died; nothing waits for it but the end. */
  #sweep: Promise<void> | undefined;

  constructor(host: PluginHost) {
    this.#host = host;
    this.gate = new Gate(host.clock);
    this.#date = new DateField(host.clock);
    this.#newUploadName = uploadNames(host.system);
    this.#sides = Side.both(NAME, host);
  }

  /** The fronts in use: plain before TLS. */
  get fronts(): readonly Front[] {
    return this.#sides.flatMap(({ address }) => address.front ?? []);
  }

  /** @throws Failure as rebind() */
  async start(): Promise<void> {
    const { config, system, clock, emit } = this.#host;
    (await this.rebind(config))?.commit();
    this.configure(config);
    const http = this.#served?.http;
    if (http !== undefined) {
      const owner = workerIdentity(config, NAME, system);
      this.#sweep = sweepUploads(http.uploads.dir, { system, clock, emit }, owner);
    }
  }

  /** @throws Failure when an address cannot be bound, or something that `next` names is missing */
  rebind(next: Config): Promise<Rebinding | undefined> {
    const old = this.#served?.http;
    return rebindAll(
      this.#sides.map((side) => () => side.rebind(old, this.#serve(next), () => this.#served)),
    );
  }

  configure(next: Config): void {
    const served = this.#served = this.#serve(next);
    if (served === undefined) return;
    const { http } = served;
    this.#drainBudget = http.drain_timeout;
    for (const { address } of this.#sides) address.front?.configure(frontOptions(http));
    for (const { target } of this.#generations) target?.pool.update(http.pool);
  }

  async build(release: ReleaseContext, signal: AbortSignal): Promise<Generation> {
    const http = httpOf(release.config);
    if (http === undefined) return {};
    const pool = await this.#host.pool(
      {
        plugin: NAME,
        name: NAME,
        command: http.pool.command,
        settings: http.pool,
        warmup: warmupOf(http),
      },
      release,
      signal,
    );
    await pool.start(signal);
    const { encoding } = http;
    const generation = { target: { pool, encoding, debug: http.pool.debug } };
    this.#generations.add(generation);
    return generation;
  }

  swap(next: Generation | undefined): Draining {
    return this.gate.swap(next?.target);
  }

  async drop(generation: Generation): Promise<void> {
    this.#generations.delete(generation);
    await endPools(this.pools(generation));
  }

  async drain(ms: number): Promise<Drained> {
    const drained = await Promise.all(this.#sides.map(({ address }) => address.drain(ms)));
    return { cut: drained.reduce((sum, one) => sum + one.cut, 0) };
  }

  cut(): void {
    for (const { address } of this.#sides) address.cut();
  }

  drainBudget(): number {
    return this.#drainBudget;
  }

  pools({ target }: Generation): readonly WorkerPool[] {
    return target === undefined ? [] : [target.pool];
  }

  snapshot(): IntakeSnapshot {
    const inUse = this.#sides.map(({ address }) => address).filter(({ front }) => front);
    const connections = this.#sides.flatMap(({ address }) => address.fronts)
      .reduce((sum, front) => sum + front.connections, 0);
    return {
      name: NAME,
      address: inUse.map(({ printed }) => printed).join(", "),
      state: inUse.at(0)?.state ?? "closed",
      connections,
      requests: this.#requests,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await this.#sweep;
  }

  /** @throws Failure when the workers' user does not exist, or a middleware cannot work */
  #serve(config: Config): Served | undefined {
    const http = httpOf(config);
    if (http === undefined) return undefined;
    let served = this.#prepared.get(config);
    if (served === undefined) {
      served = { http, handler: this.#handler(http, config) };
      this.#prepared.set(config, served);
    }
    return served;
  }

  #handler(http: HttpConfig, config: Config): Served["handler"] {
    const { system, emit } = this.#host;
    const owner = workerIdentity(config, NAME, system);
    const uploads: UploadHost = { names: this.#newUploadName, owner, emit };
    const { gate } = this;
    const worker = handler(http, { gate, emit, uploads, date: this.#date });
    const through = middleware(http, this.#host)(worker);
    const outer = http.access_logs ? this.#logged(http, through) : through;
    return (exchange) => {
      this.#requests++;
      return outer(exchange);
    };
  }

  /** Outside of everything, but with the client's address as the middleware knows it. */
  #logged(http: HttpConfig, next: Handler): Handler {
    const logged = accessLog(next, this.#host);
    return http.middleware.includes("proxy_ip_parser") ? proxyIpParser(http)(logged) : logged;
  }
}
