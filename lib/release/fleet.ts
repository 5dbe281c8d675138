/**
 * All releases of one daemon and which of them is live.
 *
 * Invariants: at most one release is active; an id is unique among the listed releases, which stand
 * in the order in which they went live (whatever the wall clock did meanwhile); a release leaves the
 * list only when it is stopped, by the retention rule, and never while it shall be brought back.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import { configuredPools } from "../config/roadrunner/pools.ts";
import { stamp, type Timer } from "../core/clock.ts";
import { Exit, Failure, messageOf } from "../core/failure.ts";
import type { Ground } from "./ground.ts";
import type { History, Remembered } from "./history.ts";
import { isInitial } from "./initial.ts";
import type { Intake } from "./intake.ts";
import { ofRelease, Release } from "./release.ts";
import type { Slot } from "./slot.ts";
import type { Standing } from "./standing.ts";
import type { ReleaseRecord } from "./types.ts";

/** The releases, the intakes they serve, and what outlives them. */
export class Fleet {
  /** In the order in which they went live; one that is being started is the last. */
  readonly releases: Release[] = [];
  active: Release | undefined;
  /**
   * Id of the release that was live when the daemon before this one ended, until it, or anything
   * else, is live: as long it is the one to bring back, whatever else is saved meanwhile.
   */
  wanted: string | undefined;
  /** Called when a copy of the live release lost its port to a stranger. */
  onPortTaken: ((release: Release, slot: Slot) => void) | undefined;
  /** Counts set by hand, and the configured one they took the place of. */
  readonly #scale = new Map<string, { count: number; configured: number }>();
  #expiry: Timer | undefined;

  /** @param config the configuration in force */
  constructor(
    readonly ground: Ground,
    // deno-lint-ignore no-explicit-any -- intakes of different generations stand side by side
    readonly intakes: readonly Intake<any>[],
    readonly standing: Standing,
    readonly history: History,
    remembered: Remembered,
    public config: Config,
  ) {
    const pools = configuredPools(config).map(({ name, settings }) => ({
      id: name,
      replicas: settings.num_workers,
    }));
    for (const [id, count] of Object.entries(remembered.scale)) {
      const process = [...config.processes, ...pools].find((one) => one.id === id);
      if (process !== undefined) this.setCount(process, count);
    }
    const { live, releases } = remembered;
    this.wanted = live?.release_id;
    const isListed = releases.some((record) => record.release_id === this.wanted);
    const now = stamp(ground.clock.wall());
    for (const record of live === null || isListed ? releases : [...releases, live]) {
      // What was alive when the daemon died has no such stamp, and its age counts from now.
      const stopped_at = record.stopped_at ?? now;
      this.releases.push(this.make({ ...record, state: "stopped", stopped_at }, config));
    }
  }

  /** A release object; not yet listed. */
  make(record: ReleaseRecord, config: Config): Release {
    const release = new Release(record, config, this.ground, (process) => this.count(process));
    release.onPortTaken = (slot) => this.onPortTaken?.(release, slot);
    return release;
  }

  /**
   * How many copies of a process run: what `scale` said, else the configuration. A count that was
   * configured since takes what `scale` said away.
   */
  count({ id, policy, replicas }: ProcessConfig): number {
    const override = this.#scale.get(id);
    const scalable = policy === "proxied" || policy === "companion";
    return scalable && override?.configured === replicas ? override.count : replicas;
  }

  /** How many workers a pool has: what `scale` said, as long as the configured number is the same. */
  poolCount(pool: string, configured: number): number {
    const override = this.#scale.get(pool);
    return override?.configured === configured ? override.count : configured;
  }

  /** Overrides a replica count; the configured count takes the override away. */
  setCount({ id, replicas }: Pick<ProcessConfig, "id" | "replicas">, count: number): void {
    if (count === replicas) this.#scale.delete(id);
    else this.#scale.set(id, { count, configured: replicas });
  }

  /** Takes an override away: the configured count was changed since, or the process removed. */
  forgetCount(id: string): void {
    this.#scale.delete(id);
  }

  /** @throws Failure naming the known ids. */
  find(id: string): Release {
    const release = this.releases.findLast((one) => one.release_id === id);
    if (release !== undefined) return release;
    const known = this.releases.map((one) => `"${one.release_id}"`).join(", ");
    throw new Failure(`there is no release "${id}"`, {
      fix: known === "" ? "nothing was deployed yet" : `known releases: ${known}`,
    });
  }

  /** `id`, or `id~2`, `id~3` … when a release of that name still has processes. */
  unusedId(id: string): string {
    const taken = new Set(
      this.releases.filter((one) => one.state !== "stopped").map((one) => one.release_id),
    );
    if (!taken.has(id)) return id;
    const base = id.replace(/~\d+$/, "");
    for (let number = 2;; number++) {
      if (!taken.has(`${base}~${number}`)) return `${base}~${number}`;
    }
  }

  /**
   * Lists a release as the last; a stopped one of the same id makes room.
   * @returns takes it off the list again, and gives the other one its place back
   */
  list(release: Release): () => void {
    const index = this.releases.findIndex((one) => one.release_id === release.release_id);
    const old = index < 0 ? undefined : this.releases.splice(index, 1)[0];
    const behind = this.releases[index];
    this.releases.push(release);
    return () => {
      this.unlist(release);
      if (old === undefined) return;
      const place = this.releases.indexOf(behind);
      this.releases.splice(place < 0 ? this.releases.length : place, 0, old);
    };
  }

  /** Takes a release off the list. */
  unlist(release: Release): void {
    const index = this.releases.indexOf(release);
    if (index >= 0) this.releases.splice(index, 1);
  }

  /**
   * Where a rollback goes: the named release, or the one activated last before the live one.
   * @throws Failure when there is none.
   */
  rollbackTarget(id: string | undefined): Release {
    if (id !== undefined) {
      const release = this.find(id);
      if (release === this.active) {
        throw new Failure(`release "${id}" is the live one already`, {
          fix: "name another release, see `supervisor status`",
        });
      }
      return release;
    }
    const current = this.active ?? this.releases.find((one) => one.release_id === this.wanted);
    const lineage = current?.record.lineage;
    const target = this.releases.findLast(({ record }) =>
      record.activated_at !== undefined && record.lineage !== lineage && !isInitial(record)
    );
    if (target !== undefined) return target;
    throw new Failure("there is no earlier release to go back to", {
      fix: this.active === undefined ? "deploy one" : "deploy another release first",
    });
  }

  /** Removes stopped releases that are too many or too old, now and when the next one gets too old. */
  retain(): void {
    const { keep, max_age } = this.config.release_retention;
    const now = this.ground.clock.wall();
    const stopped = this.releases
      .filter((one) => one.state === "stopped" && one.release_id !== this.wanted)
      .reverse()
      .sort((a, b) => stoppedAt(b) - stoppedAt(a));
    let next: number | undefined;
    for (const [position, release] of stopped.entries()) {
      const left = max_age === 0 ? 1 : stoppedAt(release) + max_age - now;
      if (position < keep && left > 0 && !isInitial(release.record)) {
        if (max_age > 0) next = Math.min(next ?? left, left);
        continue;
      }
      this.unlist(release);
      this.ground.emit("release_forgotten", { release: release.release_id });
    }
    this.#expiry?.cancel();
    this.#expiry = next === undefined ? undefined : this.ground.clock.timer(next, () => {
      this.retain();
      void this.save();
    });
  }

  /** Writes the history. @returns the failure, which is also an event; never throws. */
  async save(): Promise<Failure | undefined> {
    const listed = this.releases.filter(({ record }) =>
      record.activated_at !== undefined && !isInitial(record)
    );
    const live = this.#deployed ?? this.releases.find((one) => one.release_id === this.wanted);
    const remembered: Remembered = {
      live: live?.record ?? null,
      releases: listed.map((one) => one.record),
      scale: Object.fromEntries([...this.#scale].map(([id, { count }]) => [id, count])),
    };
    try {
      await this.history.write(remembered);
      return undefined;
    } catch (error) {
      this.ground.emit("state_write_failed", {
        file: this.history.file,
        error: messageOf(error),
      });
      return error instanceof Failure ? error : new Failure(messageOf(error), { cause: error });
    }
  }

  /** The live release, unless it is what runs without a deploy. */
  get #deployed(): Release | undefined {
    return this.active === undefined || isInitial(this.active.record) ? undefined : this.active;
  }

  /** Ends the retention timer. */
  close(): void {
    this.#expiry?.cancel();
  }
}

/** @throws Failure when `path` is not a directory that can be entered. */
export function releaseDirectory(path: string): string {
  let real: string;
  try {
    real = Deno.realPathSync(path);
    if (Deno.statSync(real).isDirectory) return real;
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    throw new Failure(
      `the release path "${path}" ${
        missing ? "does not exist" : `cannot be read: ${messageOf(error)}`
      }`,
      { exit: Exit.failed, fix: "pass the directory of the prepared release", cause: error },
    );
  }
  throw new Failure(`the release path "${path}" is not a directory`, {
    fix: "pass the directory of the prepared release",
  });
}

function stoppedAt({ record }: Release): number {
  return Date.parse(record.stopped_at ?? "");
}

/** Processes of a configuration that outlive releases. */
export function standingProcesses(config: Config): ProcessConfig[] {
  return config.processes.filter((process) => !ofRelease(process));
}
