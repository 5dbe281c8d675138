/**
 * What a metric of the application is declared with, in the configuration or by RPC.
 *
 * Invariant: pure; names that begin as ours do are reserved.
 */

/** One collector. */
export interface Collector {
  type: "counter" | "gauge" | "histogram" | "summary";
  help: string;
  namespace: string;
  subsystem: string;
  labels: string[];
  /** Upper bounds of a histogram, ascending; none: Prometheus's own. */
  buckets: number[];
  /** Quantiles of a summary, each with its tolerated error (which is not used). */
  objectives: Record<string, number>;
}

/** The name under which a collector is shown. */
export function shownName(name: string, { namespace, subsystem }: Collector): string {
  return [namespace, subsystem, name].filter((part) => part !== "").join("_");
}

/** Whether a name is for metrics of this program. */
export function isReserved(shown: string): boolean {
  return /^(?:supervisor|rr_(?:http|tcp|jobs))_/.test(shown);
}
