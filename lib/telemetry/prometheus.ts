/**
 * Metrics as Prometheus text, by prom-client.
 *
 * The library costs megabytes, so it is loaded when there is an address to show metrics on, and not
 * before. What was made until then is made known to it when it comes; what was counted until then is
 * not counted.
 *
 * Invariant: nothing here throws at those who count; a metric has at most MAX_SERIES combinations of
 * labels, further ones are counted as dropped; names of ours and of the application never meet in one
 * exposition (AppMetrics refuses those that begin as ours do).
 */

import type * as Client from "./prom_client.ts";
import { AppMetrics } from "./app_metrics.ts";
import type { Counter, Gauge, Histogram, Metrics, MetricSpec } from "./metrics.ts";
import { Series } from "./series.ts";

/** Combinations of labels of one metric of ours. */
const MAX_SERIES = 1000;

type Kind = "counter" | "gauge" | "histogram";
type Made = Client.Counter | Client.Gauge | Client.Histogram;

/** One metric: its name and kind, and what the library made of it. */
class Entry {
  readonly series = new Series(MAX_SERIES);
  made: Made | undefined;

  constructor(
    readonly kind: Kind,
    readonly spec: MetricSpec & { buckets?: readonly number[] },
  ) {}

  /** Makes it known to the library. */
  make(client: typeof Client, registry: Client.Registry): void {
    const { name, help, labels = [], buckets } = this.spec;
    const all = { name, help, labelNames: [...labels], registers: [registry] };
    if (this.kind === "counter") this.made = new client.Counter(all);
    else if (this.kind === "gauge") this.made = new client.Gauge(all);
    else this.made = new client.Histogram({ ...all, ...(buckets && { buckets: [...buckets] }) });
  }
}

/** See the file's comment. */
export class Prometheus implements Metrics {
  readonly #entries = new Map<string, Entry>();
  readonly #updates = new Set<() => void | Promise<void>>();
  readonly #dropped: Counter;
  #client: typeof Client | undefined;
  #registry: Client.Registry | undefined;
  #loading: Promise<void> | undefined;
  #app: AppMetrics | undefined;

  constructor() {
    this.#dropped = this.counter({
      name: "supervisor_metrics_dropped_total",
      help: `Values not counted because their metric has ${MAX_SERIES} combinations of labels`,
    });
  }

  /** Collectors of the application; undefined until load() resolved. */
  get app(): AppMetrics | undefined {
    return this.#app;
  }

  /** From the moment this resolves, metrics are counted. */
  load(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  counter(spec: MetricSpec): Counter {
    const entry = this.#entry("counter", spec);
    return {
      add: (by, ...labels) => {
        const made = this.#of(entry, labels) as Client.Counter | undefined;
        if (by >= 0 && Number.isFinite(by)) made?.labels(...labels).inc(by);
      },
    };
  }

  gauge(spec: MetricSpec): Gauge {
    const entry = this.#entry("gauge", spec);
    return {
      set: (value, ...labels) => {
        const made = this.#of(entry, labels) as Client.Gauge | undefined;
        made?.labels(...labels).set(value);
      },
      clear: () => {
        entry.series.clear();
        entry.made?.reset();
      },
    };
  }

  histogram(spec: MetricSpec & { buckets?: readonly number[] }): Histogram {
    const entry = this.#entry("histogram", spec);
    return {
      observe: (value, ...labels) => {
        const made = this.#of(entry, labels) as Client.Histogram | undefined;
        if (Number.isFinite(value)) made?.labels(...labels).observe(value);
      },
    };
  }

  beforeScrape(update: () => void | Promise<void>): () => void {
    this.#updates.add(update);
    return () => this.#updates.delete(update);
  }

  /** The exposition: everything as it is now. Loads the library when need be. */
  async expose(): Promise<{ type: string; text: string }> {
    await this.load();
    await Promise.all([...this.#updates].map((update) => update()));
    const { contentType } = this.#registry!;
    const parts = [await this.#registry!.metrics(), await this.#app!.text()];
    return { type: contentType, text: parts.filter((part) => part.trim() !== "").join("\n") };
  }

  #entry(kind: Kind, spec: MetricSpec & { buckets?: readonly number[] }): Entry {
    const known = this.#entries.get(spec.name);
    if (known !== undefined) {
      const same = known.kind === kind &&
        (known.spec.labels ?? []).join() === (spec.labels ?? []).join();
      if (!same) throw new TypeError(`metric "${spec.name}" exists as another kind of metric`);
      return known;
    }
    const entry = new Entry(kind, spec);
    this.#entries.set(spec.name, entry);
    if (this.#client !== undefined) entry.make(this.#client, this.#registry!);
    return entry;
  }

  /** The library's metric; undefined: not loaded yet, or the combination is one too many. */
  #of(entry: Entry, labels: readonly string[]): Made | undefined {
    if (entry.made === undefined || labels.length === 0 || entry.series.admit(labels)) {
      return entry.made;
    }
    this.#dropped.add(1);
    return undefined;
  }

  async #load(): Promise<void> {
    const client = await import("./prom_client.ts");
    const registry = new client.Registry();
    for (const entry of this.#entries.values()) entry.make(client, registry);
    this.#app = new AppMetrics(client);
    this.#client = client;
    this.#registry = registry;
  }
}
