/**
 * The `metrics` section of RoadRunner: Prometheus text on an address of its own.
 *
 * Invariant: types and schema; a value of this type came out of the schema complete.
 */

/** `metrics`, checked and complete. */
export interface MetricsConfig {
  address: { host: string; port: number };
  /** Collectors of the application, by name. */
  collect: Record<string, CollectorConfig>;
}

/** One collector that the application fills by RPC. */
export interface CollectorConfig {
  type: "counter" | "gauge" | "histogram" | "summary";
  help: string;
  namespace: string;
  subsystem: string;
  labels: string[];
  buckets: number[];
  /** Quantile to its tolerated error. */
  objectives: Record<string, number>;
}
