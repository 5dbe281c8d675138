/**
 * What a gate of forwarding points to: the proven programs of one release.
 *
 * Invariant: pick() names only programs that are ready; with equal load they take turns.
 */

import type { Upstream } from "./upstream.ts";

export class UpstreamSet {
  /** Requests and tunnels in flight on this release. */
  readonly counts = { http: 0, websocket: 0 };
  readonly #upstreams: Upstream[] = [];
  #turn = 0;

  constructor(readonly release: string) {}

  add(upstream: Upstream): void {
    this.remove(upstream.instance);
    this.#upstreams.push(upstream);
  }

  /** Takes a program out; requests it is answering go on. */
  remove(instance: string): Upstream | undefined {
    const index = this.#upstreams.findIndex((upstream) => upstream.instance === instance);
    return index < 0 ? undefined : this.#upstreams.splice(index, 1)[0];
  }

  list(): readonly Upstream[] {
    return this.#upstreams;
  }

  /** The ready program with the fewest requests; `except` is not asked. */
  pick(except?: Upstream): Upstream | undefined {
    const all = this.#upstreams;
    const count = all.length;
    if (count === 1) return all[0].ready && all[0] !== except ? all[0] : undefined;
    let best: Upstream | undefined;
    let turn = this.#turn;
    for (let i = 0; i < count; i++) {
      const at = (this.#turn + i) % count;
      const upstream = all[at];
      if (!upstream.ready || upstream === except) continue;
      if (best !== undefined && upstream.outstanding >= best.outstanding) continue;
      best = upstream;
      turn = at + 1;
    }
    this.#turn = count === 0 ? 0 : turn % count;
    return best;
  }

  /** Lets all connections of all programs end (idle ones now). */
  close(): void {
    for (const upstream of this.#upstreams) upstream.close();
  }
}
