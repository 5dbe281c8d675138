/**
 * What every part of the release floor stands on, handed down once by the daemon.
 *
 * Invariant: no part keeps its own copy of time, ports, environment or the process book.
 */

import type { Clock } from "../core/clock.ts";
import type { System } from "../os/system.ts";
import type { MemoryWatch } from "../process/memory.ts";
import type { OutputSink } from "../process/types.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Orphans } from "./orphans.ts";
import type { PidBook } from "./pid_book.ts";
import type { PortTable } from "./ports.ts";

/** The shared ground. */
export interface Ground {
  readonly system: System;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly output: OutputSink;
  readonly memory: MemoryWatch;
  readonly ports: PortTable;
  readonly book: PidBook;
  readonly orphans: Orphans;
  /** What children inherit. */
  readonly env: Readonly<Record<string, string>>;
  /** Aborted when the daemon ends: the root of every wait. */
  readonly signal: AbortSignal;
}
