/**
 * What is remembered of a process beyond its present run: counters, the last end, why it is not
 * running.
 *
 * Invariant: only written by what happened, only read by status and reports; nothing is decided by it.
 */

import type { ExitStatus } from "../os/system.ts";
import type { Run } from "./run.ts";
import { describeTrouble, type Trouble } from "./start_failure.ts";
import type { OutputRun, ProcessSnapshot, StartReason } from "./types.ts";

/** The past of one process. */
export class Chronicle {
  /** Restarts after a crash. */
  restarts = 0;
  memoryRestarts = 0;
  lastMemoryRestartAt: string | undefined;
  lastStartReason: StartReason | undefined;
  /** How the last run ended. */
  exit: ProcessSnapshot["exit"] = null;
  /** Why it is not running, for people. */
  reason: string | undefined;
  /** What the newest attempt failed of. */
  trouble: Trouble | undefined;
  /** The newest attempt failed because another program listens on its port. */
  portTaken = false;
  /** Of the newest run; knows the lines of earlier ones too. */
  output: OutputRun | undefined;

  /** A run began. */
  began(run: Run): void {
    this.portTaken = false;
    this.output = run.output;
    this.lastStartReason = run.reason;
    if (run.reason === "crash") this.restarts++;
    if (run.reason !== "memory") return;
    this.memoryRestarts++;
    this.lastMemoryRestartAt = run.startedAt;
  }

  /** It works. */
  proven(): void {
    this.reason = undefined;
  }

  /** A run's leader ended. */
  ended(run: Run, status: ExitStatus, wanted: boolean): void {
    run.ended(status);
    this.exit = run.exit!;
    if (!wanted) this.troubled({ kind: "ended", run });
  }

  /** An attempt, or a run, failed. */
  troubled(trouble: Trouble): void {
    this.trouble = trouble;
    this.reason = describeTrouble(trouble);
  }
}
