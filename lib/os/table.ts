/**
 * The process table, scanned once for everybody who asks at the same moment.
 *
 * The rule that makes sharing safe: a scan answers questions about the past, and an action of ours
 * (a spawn, a signal, an exit we noticed) opens a new present. So a scan is handed out again only
 * while it is younger than MOMENT *and* nothing was done since it began (`invalidate`). Whoever needs
 * proof that something ended asks `fresh()`, and even that only shows what was there at some point
 * during the scan: a process that forks and ends while /proc is being read may hide its child. Two
 * scans in a row, one begun after the other ended, are therefore what counts as proof (groups.ts).
 *
 * Invariant: sequence numbers grow with every scan taken; every scan is shown to the observer exactly
 * once, before anybody else sees it.
 */

import type { Clock } from "../core/clock.ts";
import { readRows, type Rows } from "./proc.ts";

/** For how long callers share a scan, milliseconds. */
const MOMENT = 5;

/** The process table as it was at one moment. */
export interface Scan {
  readonly sequence: number;
  readonly rows: Rows;
  /** How long taking it took, milliseconds. */
  readonly cost: number;
}

/** The shared scanner. */
export class ProcessTable {
  #last: Scan | undefined;
  #stale = true;
  #began = 0;
  #sequence = 0;

  /** `observe` is shown each scan; `read` takes one (a test brings its own). */
  constructor(
    private readonly clock: Clock,
    private readonly observe: (scan: Scan) => void,
    private readonly read: () => Rows = readRows,
  ) {}

  /** Number of the last scan taken. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The table at this moment. */
  current(): Scan {
    return this.#stale ? this.fresh() : this.recent(0);
  }

  /**
   * A scan of this moment whatever was done since, but later than the scan of that number: to choose
   * whom to look at more closely, not to prove anything.
   */
  recent(after: number): Scan {
    const last = this.#last;
    const serves = last !== undefined && last.sequence > after &&
      this.clock.now() - this.#began <= MOMENT;
    return serves ? last : this.fresh();
  }

  /** A scan that begins now. */
  fresh(): Scan {
    this.#began = this.clock.now();
    const rows = this.read();
    const cost = this.clock.now() - this.#began;
    const scan = { sequence: ++this.#sequence, rows, cost };
    this.#last = scan;
    this.#stale = false;
    this.observe(scan);
    return scan;
  }

  /** Something was done that the last scan cannot show. */
  invalidate(): void {
    this.#stale = true;
  }
}
