/**
 * The contract of metrics: what counts things names them here and knows nothing of exposition.
 *
 * Invariant: no label takes values without bound (no pid, no path); when metrics are off, all of this
 * does nothing.
 */

/** What a metric is called. `name` is the whole exposed name. */
export interface MetricSpec {
  name: string;
  help: string;
  labels?: readonly string[];
}

/** Only goes up. `labels` by position, as in the spec. */
export interface Counter {
  add(by: number, ...labels: string[]): void;
}

/** Goes up and down. */
export interface Gauge {
  set(value: number, ...labels: string[]): void;
  /** Forgets every series: what it shows is set anew before each exposition. */
  clear(): void;
}

/** Counts values in buckets. */
export interface Histogram {
  observe(value: number, ...labels: string[]): void;
}

/** Where metrics are made. A name that exists is shared when kind and labels agree. */
export interface Metrics {
  counter(spec: MetricSpec): Counter;
  gauge(spec: MetricSpec): Gauge;
  /** `buckets`: upper bounds, ascending. */
  histogram(spec: MetricSpec & { buckets?: readonly number[] }): Histogram;
  /**
   * Called before each exposition, which waits for it, to set gauges from what is so then.
   * @returns takes it back
   */
  beforeScrape(update: () => void | Promise<void>): () => void;
}

const nothing = { add() {}, set() {}, clear() {}, observe() {} };

/** Metrics that are off. */
export const noMetrics: Metrics = {
  counter: () => nothing,
  gauge: () => nothing,
  histogram: () => nothing,
  beforeScrape: () => () => {},
};
