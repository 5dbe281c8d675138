/**
 * The tcp plugin on real addresses, with a pool that a test answers for.
 *
 * Invariant: at the end of a test no connection is left, no timer waits, and nothing broke inside.
 */

import { assertEquals } from "@std/assert";
import type { Config } from "../../../../lib/config/config.ts";
import { POOL, TCP } from "../../../../lib/config/defaults.ts";
import type { TcpConfig, TcpServerConfig } from "../../../../lib/config/roadrunner/tcp.ts";
import type { Clock } from "../../../../lib/core/clock.ts";
import { UpstreamSet } from "../../../../lib/http/mod.ts";
import { realClock } from "../../../../lib/os/clock.ts";
import type { System } from "../../../../lib/os/system.ts";
import type { WorkerPool } from "../../../../lib/pool/contract.ts";
import type { ReleaseContext } from "../../../../lib/release/intake.ts";
import type { EventName, Events } from "../../../../lib/telemetry/events.ts";
import type { Metrics } from "../../../../lib/telemetry/metrics.ts";
import { type Generation, TcpIntake } from "../../../../plugins/tcp/intake.ts";
import type { PoolOrder } from "../../../../plugins/plugin.ts";
import { RawPeer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { configOf } from "../../release/configs.ts";
import { FakeCall, FakePool, type Told } from "../http/kit.ts";

export const HOST = "127.0.0.1";

/** The counters by what they are called with: `supervisor_tcp_events_total main DATA`. */
class Counts implements Metrics {
  readonly values: Record<string, number> = {};

  counter({ name }: { name: string }) {
    return {
      add: (by: number, ...labels: string[]) => {
        const key = [name.replace(/^supervisor_tcp_|_total$/g, ""), ...labels].join(" ");
        this.values[key] = (this.values[key] ?? 0) + by;
      },
    };
  }
  gauge(): never {
    throw new Error("there is no gauge");
  }
  histogram(): never {
    throw new Error("there is no histogram");
  }
  beforeScrape(): never {
    throw new Error("nothing is read at a scrape");
  }
}

/** A server with every default, on any port. */
export function serverOf(more: Partial<TcpServerConfig> = {}): TcpServerConfig {
  return { ...TCP, addr: { host: HOST, port: 0 }, ...more };
}

/** A section with every default and these servers. */
export function tcpOf(servers: Record<string, Partial<TcpServerConfig>>): TcpConfig {
  const all = Object.entries(servers).map(([name, one]) => [name, serverOf(one)]);
  return {
    servers: Object.fromEntries(all),
    pool: { ...POOL, num_workers: 1, max_surge: 1 },
    drain_timeout: TCP.drain_timeout,
  };
}

/** A configuration with that section; undefined: without. */
export function withTcp(tcp: TcpConfig | undefined): Config {
  return configOf([], { proxy: undefined, sections: tcp === undefined ? {} : { tcp } });
}

/** What a test brings of its own. */
interface Props {
  clock?: Clock;
  open?: (order: PoolOrder, release: ReleaseContext) => WorkerPool;
}

/** The plugin's intake, what it made and what it told. */
export class Stage implements AsyncDisposable {
  readonly told: Told[] = [];
  readonly pools: FakePool[] = [];
  readonly intake: TcpIntake;
  readonly counts = new Counts();

  constructor(config: Config, { clock = realClock, open }: Props = {}) {
    const system = {
      clock,
      listeners: () => [{ address: HOST, pids: [7] }],
      row: (pid: number) => ({ pid, command: "nginx" }),
    } as unknown as System;
    this.intake = new TcpIntake({
      system,
      clock,
      emit: (name, data) => void this.told.push([name, data] as Told),
      metrics: this.counts,
      config,
      state_dir: "/nowhere",
      signal: new AbortController().signal,
      pool: (order, release) => {
        if (open !== undefined) return Promise.resolve(open(order, release));
        const pool = new FakePool(release.release_id, order);
        this.pools.push(pool);
        return Promise.resolve(pool);
      },
    });
  }

  /** Started, with one server `main` and a live pool. */
  static async live(server: Partial<TcpServerConfig> = {}, props: Props = {}): Promise<Stage> {
    const config = withTcp(tcpOf({ main: server }));
    const stage = new Stage(config, props);
    await stage.intake.start();
    stage.intake.swap(await stage.build(config));
    return stage;
  }

  /** The pool built last. */
  get pool(): FakePool {
    return this.pools.at(-1)!;
  }

  portOf(server = "main"): number {
    return this.intake.servers.get(server)!.address.used!.address.port;
  }

  /** Connections that are there. */
  get connections(): number {
    return this.intake.snapshot().connections!;
  }

  /** Events of a name. */
  events<N extends EventName>(name: N): Events[N][] {
    return this.told.filter(([one]) => one === name).map(([, data]) => data as Events[N]);
  }

  build(config: Config, release_id = `v${this.pools.length + 1}`): Promise<Generation> {
    return this.intake.build(releaseOf(config, release_id), new AbortController().signal);
  }

  /** A client, before anything is answered. */
  connect(server = "main"): Promise<RawPeer> {
    return RawPeer.connect(this.portOf(server));
  }

  /** A client whose CONNECTED was answered. */
  async open(server = "main"): Promise<RawPeer> {
    const peer = await this.connect(server);
    (await this.expect("CONNECTED")).raw("CONTINUE");
    return peer;
  }

  /** The next event at a pool (of the last release), which must be this one. */
  async expect(event: string, body = "", pool = this.pool): Promise<FakeCall> {
    const call = await pool.next();
    assertEquals([call.context.event, call.body], [event, body]);
    return call;
  }

  /** Until no connection is there. */
  async empty(): Promise<void> {
    await until("the last connection is over", () => this.connections === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.intake[Symbol.asyncDispose]();
    await this.intake.drain(0);
    assertEquals([this.connections, this.events("internal_error")], [0, []]);
  }
}

function releaseOf(config: Config, release_id: string): ReleaseContext {
  return {
    release_id,
    release_path: "/srv/app",
    revision: release_id,
    config,
    ports: new Map(),
    upstreams: new UpstreamSet(release_id),
    hopeful: false,
    onReadiness: undefined,
  };
}
