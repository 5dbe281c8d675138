/**
 * Makes the worker pools of releases: everything of them that is the release's, so that a plugin only
 * says which pool it wants.
 *
 * Invariants: `on_init` has ended before the first pool of a generation is handed out, and runs once
 * for it; every worker stands in the process book from the turn of its spawn until its group is gone.
 */

import { serverOf } from "../config/roadrunner/server.ts";
import type { RelayDoors } from "../goridge/doors.ts";
import type { PidIdentity } from "../os/system.ts";
import type { WorkerPool } from "../pool/contract.ts";
import type { BookedWorker, PoolHost, PoolSpec } from "../pool/types.ts";
import type { Ground } from "./ground.ts";
import { workerIdentity } from "./identity.ts";
import type { ReleaseContext } from "./intake.ts";
import { runOnInit } from "./on_init.ts";
import { markOf, type Surroundings } from "./render.ts";
import { renderWorker } from "./render_worker.ts";

/** Which pool a plugin wants. */
export interface PoolOrder extends Pick<PoolSpec, "plugin" | "name" | "settings" | "warmup"> {
  /** The pool's own command; undefined: that of `server`. */
  command?: string | string[];
}

/** What pools need of the daemon. */
export interface PoolsHost {
  readonly doors: RelayDoors;
  /** Makes a pool; it does nothing before its start(). */
  open(spec: PoolSpec, host: PoolHost): WorkerPool;
  /** What RR_RPC says; undefined: there is no RPC server. */
  rpc(): string | undefined;
  /** How many workers: what `scale` said, else `configured`. */
  count(pool: string, configured: number): number;
}

/** The pools of all releases. */
export class Pools {
  readonly #prepared = new WeakMap<ReleaseContext, Promise<void>>();

  constructor(readonly ground: Ground, readonly host: PoolsHost) {}

  /**
   * A pool of a release, not yet started.
   * @throws Failure when it cannot be rendered, or on_init failed with `exit_on_error`
   */
  async open(order: PoolOrder, release: ReleaseContext, signal: AbortSignal): Promise<WorkerPool> {
    const { ground, host } = this;
    const { plugin, name, command, settings, warmup } = order;
    const server = serverOf(release.config);
    const around: Surroundings = {
      config: release.config,
      release,
      env: ground.env,
      ports: release.ports,
    };
    const identity = workerIdentity(release.config, name, ground.system);
    const worker = renderWorker(
      { plugin, pool: name, command, identity, rpc: host.rpc() },
      server,
      around,
    );
    const { on_init } = server;
    if (on_init !== undefined) {
      const prepared = this.#prepared.get(release) ??
        runOnInit(on_init, around, ground, signal);
      this.#prepared.set(release, prepared);
      await prepared;
    }
    const num_workers = host.count(name, settings.num_workers);
    return host.open({
      plugin,
      name,
      release: release.release_id,
      worker,
      settings: { ...settings, num_workers },
      warmup,
    }, this.#host(markOf(worker.env)));
  }

  #host(mark: string | undefined): PoolHost {
    const { system, clock, emit, output, signal, book } = this.ground;
    return {
      system,
      clock,
      emit,
      output,
      signal,
      doors: this.host.doors,
      booked({ instance, plugin, release, pid, start, boot_id }: BookedWorker) {
        const policy = "companion";
        book.put({ pid, start, boot_id, mark, instance, id: plugin, policy, release });
      },
      unbooked: (id: PidIdentity) => book.remove(id),
    };
  }
}
