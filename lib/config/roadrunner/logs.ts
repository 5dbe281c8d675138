/**
 * The `logs` section of RoadRunner, as far as it means something here.
 *
 * Invariant: types and schema; a value of this type came out of the schema complete.
 */

/** `logs`, checked and complete. */
export interface LogsConfig {
  /** production: JSON lines; development: readable; raw: messages only; off: none but errors. */
  mode: "production" | "development" | "raw" | "off";
  level: "debug" | "info" | "warn" | "error";
  encoding: "json" | "console";
  /** `stderr`, `stdout` or absolute paths. */
  output: string[];
}
