/**
 * What rules between keys look at.
 *
 * Invariant: rules see what is left of a file after its mistakes were taken out, so no rule complains
 * about the absence of something that was written (`isWritten`), only badly (`isBroken`).
 */

import type { Config, ProcessConfig } from "../config.ts";
import { find, type Node, type Path } from "../tree.ts";

/** What rules look at. */
export interface RuleContext {
  config: Config;
  /** The file as written, before expansion. */
  written: Node;
  /** Ids of all processes and services in the file, broken ones too. */
  declared: readonly string[];
  /** Places that have been complained about: their values are not what was written. */
  broken: readonly Path[];
}

/** Where a process is written. */
export function placeOf({ id, origin }: ProcessConfig): Path {
  return [origin ?? "processes", id];
}

/** Whether the file has a value at `path`, good or bad. */
export function isWritten({ written }: RuleContext, path: Path): boolean {
  const node = find(written, path);
  return node !== undefined && !(node.kind === "scalar" && node.value === null);
}

/** Whether the value at `path` (or part of it) has been complained about. */
export function isBroken({ broken }: RuleContext, path: Path): boolean {
  return broken.some((wrong) =>
    wrong.length > 0 && wrong.every((key, i) => i >= path.length || path[i] === key)
  );
}

/** Whether the value at `path` is what the file says: written, and not complained about. */
export function isSound(context: RuleContext, path: Path): boolean {
  return isWritten(context, path) && !isBroken(context, path);
}
