/**
 * TCP for worker pools: the servers, the gate, and the pool of each release.
 *
 * Invariants: the addresses listen from `start` until the daemon's drain, whatever releases come and
 * go; without a `tcp` section nothing listens and a generation has no pool; a connection stays with the
 * pool that was live when it came, until it ends or `drain_timeout` is over.
 */

import type { Config } from "../../lib/config/config.ts";
import { tcpOf } from "../../lib/config/roadrunner/mod.ts";
import { type Draining, Gate } from "../../lib/core/gate.ts";
import type { WorkerPool } from "../../lib/pool/contract.ts";
import { endPools } from "../../lib/pool/end.ts";
import type {
  Drained,
  Intake,
  IntakeSnapshot,
  Rebinding,
  ReleaseContext,
} from "../../lib/release/intake.ts";
import { rebindAll } from "../../lib/release/rebind_all.ts";
import type { PluginHost } from "../plugin.ts";
import type { TcpConnection } from "./connection.ts";
import { TcpServer } from "./server.ts";
import { Tally } from "./tally.ts";
import { Target } from "./target.ts";

const NAME = "tcp";

/** What a release is to this intake; without a pool when its configuration has no `tcp`. */
export interface Generation {
  readonly target?: Target;
}

/** See the file's comment. */
export class TcpIntake implements Intake<Generation> {
  readonly name = NAME;
  readonly gate: Gate<Target>;
  readonly #host: PluginHost;
  readonly #servers = new Map<string, TcpServer>();
  /** By uuid. */
  readonly #connections = new Map<string, TcpConnection>();
  /** Those that were built and not dropped. */
  readonly #generations = new Set<Generation>();
  /** Made when there is something to count. */
  #tally: Tally | undefined;
  /** As last configured: what a removed section leaves behind is still finished. */
  #drainBudget = 0;

  constructor(host: PluginHost) {
    this.#host = host;
    this.gate = new Gate(host.clock);
  }

  /** The servers that the section names. */
  get servers(): ReadonlyMap<string, TcpServer> {
    return this.#servers;
  }

  /** @throws Failure naming the address and what is in the way */
  async start(): Promise<void> {
    const { config } = this.#host;
    (await this.rebind(config))?.commit();
    this.configure(config);
  }

  /** @throws Failure when an address cannot be bound */
  rebind(next: Config): Promise<Rebinding | undefined> {
    const servers = tcpOf(next)?.servers ?? {};
    const budget = this.drainBudget();
    const names = [...new Set([...this.#servers.keys(), ...Object.keys(servers)])];
    return rebindAll(names.map((name) => () => this.#server(name).rebind(servers[name], budget)));
  }

  configure(next: Config): void {
    const tcp = tcpOf(next);
    for (const [name, server] of this.#servers) {
      server.settings = tcp?.servers[name];
      if (server.settings === undefined && server.address.all.length === 0) {
        this.#servers.delete(name);
      }
    }
    if (tcp === undefined) return;
    this.#drainBudget = tcp.drain_timeout;
    for (const { target } of this.#generations) target?.pool.update(tcp.pool);
  }

  async build(release: ReleaseContext, signal: AbortSignal): Promise<Generation> {
    const tcp = tcpOf(release.config);
    if (tcp === undefined) return {};
    const { command, ...settings } = tcp.pool;
    const order = { plugin: NAME, name: NAME, command, settings };
    const pool = await this.#host.pool(order, release, signal);
    await pool.start(signal);
    const generation = { target: new Target(pool) };
    this.#generations.add(generation);
    return generation;
  }

  swap(next: Generation | undefined): Draining {
    return this.gate.swap(next?.target);
  }

  async drop(generation: Generation): Promise<void> {
    this.#generations.delete(generation);
    const { target } = generation;
    // The workers of connections that were cut are told so before they are stopped.
    await target?.empty();
    await endPools(this.pools(generation));
  }

  async drain(ms: number): Promise<Drained> {
    const drained = await Promise.all(this.#all.map(({ address }) => address.drain(ms)));
    return { cut: drained.reduce((sum, one) => sum + one.cut, 0) };
  }

  cut(): void {
    for (const { address } of this.#all) address.cut();
  }

  /** Ends a connection, if there is one of that id; its workers are told. */
  close(uuid: string): void {
    this.#connections.get(uuid)?.close();
  }

  drainBudget(): number {
    return this.#drainBudget;
  }

  pools({ target }: Generation): readonly WorkerPool[] {
    return target === undefined ? [] : [target.pool];
  }

  snapshot(): IntakeSnapshot {
    const inUse = this.#all.map(({ address }) => address).filter(({ used }) => used);
    return {
      name: NAME,
      address: inUse.map(({ printed }) => printed).join(", "),
      state: inUse.at(0)?.state ?? "closed",
      connections: this.#all.reduce((sum, { connections }) => sum + connections, 0),
      requests: this.#tally?.events ?? 0,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#tally?.[Symbol.dispose]();
    return Promise.resolve();
  }

  get #all(): readonly TcpServer[] {
    return [...this.#servers.values()];
  }

  #server(name: string): TcpServer {
    let server = this.#servers.get(name);
    if (server === undefined) {
      const { system, clock, emit } = this.#host;
      const tally = this.#tally ??= new Tally(this.#host);
      const opened = (connection: TcpConnection) => this.#opened(connection);
      server = new TcpServer(name, { system, clock, emit, gate: this.gate, tally, opened });
      this.#servers.set(name, server);
    }
    return server;
  }

  #opened(connection: TcpConnection): void {
    this.#connections.set(connection.uuid, connection);
    connection.over.then(() => this.#connections.delete(connection.uuid));
  }
}
