/**
 * The `server` section of RoadRunner: how workers are started when a pool says nothing else.
 *
 * Invariant: types and schema; a value of these types came out of the schema complete.
 */

/** `server`, checked and complete. Milliseconds. */
export interface ServerConfig {
  /** A string is split into words with quotes understood, no shell. Templated. */
  command?: string | string[];
  /** `pipes`, `tcp://host:port`, `unix://path`. */
  relay: string;
  user?: string;
  group?: string;
  /** Names upper-cased, as RoadRunner does. Values templated. */
  env: Record<string, string>;
  on_init?: OnInitConfig;
}

/** `server.on_init` */
export interface OnInitConfig {
  command: string | string[];
  exec_timeout: number;
  env: Record<string, string>;
  user?: string;
  exit_on_error: boolean;
}
