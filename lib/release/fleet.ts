/**
 * All releases of one daemon and which of them is live.
 *
 * Invariants: at most one release is active; an id is unique among the listed releases; a release
 * leaves the list only when it is stopped, by the retention rule.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import type { Timer } from "../core/clock.ts";
import { Exit, Failure, messageOf } from "../core/failure.ts";
import type { Ground } from "./ground.ts";
import type { History, Remembered } from "./history.ts";
import type { Intake } from "./intake.ts";
import { ofRelease, Release } from "./release.ts";
import type { Standing } from "./standing.ts";
import type { ReleaseRecord } from "./types.ts";

/** The releases, the intakes they serve, and what outlives them. */
export class Fleet {
  /** Oldest first. */
  readonly releases: Release[] = [];
  active: Release | undefined;
  readonly #scale: Map<string, number>;
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
    this.#scale = new Map(Object.entries(remembered.scale));
    for (const record of remembered.releases) {
      if (record.release_id === remembered.live?.release_id) continue;
      this.releases.push(this.make({ ...record, state: "stopped" }, config));
    }
  }

  /** A release object; not yet listed. */
  make(record: ReleaseRecord, config: Config): Release {
    return new Release(record, config, this.ground, (process) => this.count(process));
  }

  /** How many copies of a process run: what `scale` said, else the configuration. */
  count(process: ProcessConfig): number {
    return this.#scale.get(process.id) ?? process.replicas;
  }

  /** Overrides a replica count; the configured count takes the override away. */
  setCount(process: ProcessConfig, count: number): void {
    if (count === process.replicas) this.#scale.delete(process.id);
    else this.#scale.set(process.id, count);
  }

  /** Takes an override away: the configured count was changed since. */
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

  /** Lists a release; a stopped one of the same id makes room. */
  list(release: Release): void {
    const index = this.releases.findIndex((one) => one.release_id === release.release_id);
    if (index >= 0) this.releases.splice(index, 1);
    this.releases.push(release);
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
    const lineage = this.active?.record.lineage;
    const earlier = this.releases
      .filter((one) => one.record.activated_at !== undefined && one.record.lineage !== lineage)
      .sort((a, b) => a.record.activated_at! < b.record.activated_at! ? -1 : 1);
    const target = earlier.at(-1);
    if (target !== undefined) return target;
    throw new Failure("there is no earlier release to go back to", {
      fix: this.active === undefined ? "deploy one" : "deploy another release first",
    });
  }

  /** Removes stopped releases that are too many or too old, now and when the next one gets too old. */
  retain(): void {
    const { keep, max_age } = this.config.release_retention;
    const now = this.ground.clock.wall();
    const stopped = this.releases.filter((one) => one.state === "stopped")
      .sort((a, b) => (a.record.stopped_at ?? "") < (b.record.stopped_at ?? "") ? 1 : -1);
    let next: number | undefined;
    for (const [position, release] of stopped.entries()) {
      const left = max_age === 0 ? 1 : Date.parse(release.record.stopped_at ?? "") + max_age - now;
      if (position < keep && left > 0) {
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
    const listed = this.releases.filter((one) => one.record.activated_at !== undefined);
    const remembered: Remembered = {
      live: this.active?.record ?? null,
      releases: listed.map((one) => one.record),
      scale: Object.fromEntries(this.#scale),
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

/** Processes of a configuration that outlive releases. */
export function standingProcesses(config: Config): ProcessConfig[] {
  return config.processes.filter((process) => !ofRelease(process));
}
