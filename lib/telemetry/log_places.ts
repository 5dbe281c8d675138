/**
 * The places that the log is written to: each is open once, however many channels write to it.
 *
 * | event                     | effect                                                              |
 * | ------------------------- | ------------------------------------------------------------------- |
 * | prepare                   | what is missing is opened; nothing of it is in use                  |
 * | commit                    | new ones are in use; those nobody wants finish their lines and close |
 * | commit, other limits      | the file goes on with them, and nothing that waits is lost          |
 * | undo                      | what prepare opened is closed                                       |
 *
 * Invariant: lines for one place keep their order; a place that cannot be written holds up no other.
 */

import type { Clock } from "../core/clock.ts";
import { Outlet, type OutletTarget } from "./outlet.ts";
import { RotatingFile, type RotationLimits } from "./rotating_file.ts";
import { fileTarget, type StandardStream, streamTarget } from "./targets.ts";

/** What happened to one log file on reopen. */
export interface Reopened {
  file: string;
  /** Why the old one is still in use. */
  error?: string;
}

/** What places are made with. */
export interface PlacesOptions {
  clock: Clock;
  stderr: StandardStream;
  stdout: StandardStream;
  /** Told once after lines for a place were lost, when it can be written again. */
  onBack(place: string, lines: number, reason: string): void;
}

/** The limits of a file; undefined: it is a stream. */
export type Wanted = ReadonlyMap<string, RotationLimits | undefined>;

interface Open {
  outlet: Outlet;
  limits: RotationLimits | undefined;
}

/** Whether a place is one of the daemon's own streams and no file. */
export function isStream(place: string): place is "stderr" | "stdout" {
  return place === "stderr" || place === "stdout";
}

/** See the file's comment. */
export class LogPlaces implements AsyncDisposable {
  readonly #options: PlacesOptions;
  #open = new Map<string, Open>();
  /** Those that finish what they were given. */
  readonly #leaving = new Set<Promise<void>>();
  #lostBefore = 0;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** Lines that could not be written. */
  get lost(): number {
    return this.#all.reduce((sum, { lost }) => sum + lost, this.#lostBefore);
  }

  /** Of a place that is in use. */
  outlet(place: string): Outlet {
    return this.#open.get(place)!.outlet;
  }

  /** @throws Failure when a file cannot be opened; nothing is then */
  prepare(wanted: Wanted): { commit(): void; undo(): void } {
    const targets = new Map<string, OutletTarget>();
    const undo = () => {
      for (const target of targets.values()) target.close();
    };
    try {
      for (const [place, limits] of wanted) {
        const open = this.#open.get(place);
        const same = open?.limits?.bytes === limits?.bytes && open?.limits?.files === limits?.files;
        if (open === undefined || !same) targets.set(place, this.#targetOf(place, limits));
      }
    } catch (error) {
      undo();
      throw error;
    }
    return { undo, commit: () => this.#commit(wanted, targets) };
  }

  /** Opens the files anew: each new one before its old one is closed. Never rejects. */
  async reopen(): Promise<Reopened[]> {
    const files = [...this.#open].filter(([place]) => !isStream(place));
    return await Promise.all(files.map(async ([file, { outlet }]) => {
      const error = await outlet.reopen();
      return error === undefined ? { file } : { file, error };
    }));
  }

  /** Resolves when everything put so far is out, or lost and counted. */
  async flush(): Promise<void> {
    await Promise.all(this.#all.map((outlet) => outlet.flush()));
  }

  /** Writes at once what waits. */
  flushSync(): void {
    for (const outlet of this.#all) outlet.flushSync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([
      ...this.#leaving,
      ...this.#all.map((outlet) => outlet[Symbol.asyncDispose]()),
    ]);
  }

  get #all(): Outlet[] {
    return [...this.#open.values()].map(({ outlet }) => outlet);
  }

  #commit(wanted: Wanted, targets: ReadonlyMap<string, OutletTarget>): void {
    const before = this.#open;
    this.#open = new Map();
    for (const [place, limits] of wanted) {
      const [open, target] = [before.get(place), targets.get(place)];
      if (open !== undefined && target !== undefined) open.outlet.use(target);
      const outlet = open?.outlet ?? this.#outletAt(place, target!);
      this.#open.set(place, { outlet, limits });
      before.delete(place);
    }
    for (const { outlet } of before.values()) this.#leave(outlet);
  }

  #leave(outlet: Outlet): void {
    const left = outlet[Symbol.asyncDispose]().then(() => {
      this.#lostBefore += outlet.lost;
      this.#leaving.delete(left);
    });
    this.#leaving.add(left);
  }

  #outletAt(place: string, target: OutletTarget): Outlet {
    const { clock, onBack } = this.#options;
    return new Outlet(target, clock, (lines, reason) => onBack(place, lines, reason));
  }

  #targetOf(place: string, limits: RotationLimits | undefined): OutletTarget {
    return isStream(place)
      ? streamTarget(this.#options[place])
      : fileTarget(RotatingFile.open(place, limits));
  }
}
