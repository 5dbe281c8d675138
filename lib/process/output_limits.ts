/**
 * Every bound of the way from a program's output to its log, in one place.
 *
 * Invariant: plain numbers; each is a bound on memory, disk or time that the files of this folder keep.
 */

import { ROTATION, type RotationLimits } from "../telemetry/rotating_file.ts";

/** Bounds of the output of all programs. */
export interface OutputLimits {
  /** Size and number of the files of each log. */
  rotation: RotationLimits;
  /** Bytes of a line; longer ones are cut into pieces. */
  line_bytes: number;
  /** Lines of one stream before others get their turn. */
  turn_lines: number;
  /** Unread bytes of one stream on disk; beyond, the oldest half is counted as lost. */
  spool_bytes: number;
  /** Read bytes that are given back to the disk in one step. */
  free_step: number;
  /** Lines that one query may ask for. */
  query_lines: number;
}

/** The defaults. */
export const OUTPUT_LIMITS: OutputLimits = {
  rotation: ROTATION,
  line_bytes: 64 * 1024,
  turn_lines: 1000,
  spool_bytes: 1024 ** 3,
  free_step: 1024 * 1024,
  query_lines: 10_000,
};
