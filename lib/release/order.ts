/**
 * What is asked of a deploy, and how it tells how far it is.
 *
 * Invariant: types only.
 */

import type { Config } from "../config/config.ts";
import type { Progress } from "./types.ts";

/** What shall be live. */
export interface Order {
  /** `initial`: the worker pools before any deploy, from the directory of the configuration. */
  kind: "deploy" | "rollback" | "reload" | "restore" | "initial";
  release_path: string;
  release_id?: string;
  revision?: string;
  /** The deploy that brought this code, when it is not this one. */
  lineage?: string;
  /** The configuration to build with; it becomes the one in force with the swap. */
  config: Config;
  /** Singletons and services to replace although the release does not need it (changed by reload). */
  replace?: ReadonlySet<string>;
  /** Runs inside the synchronous block. */
  adopt: () => void;
}

/** Tells how far a deploy is. */
export type Tell = (step: Progress["step"], message: string) => void;
