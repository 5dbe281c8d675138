/**
 * Metrics that the application declares and fills: by the configuration, and by RPC.
 *
 * | origin        | kept                                                       |
 * | ------------- | ---------------------------------------------------------- |
 * | configuration | as long as it is written the same way                      |
 * | declared      | until it is unregistered; its values live as long as we do |
 *
 * Invariant: a collector is found by the name it was declared with, and shown as
 * `namespace_subsystem_name`; collectors, their labels and the combinations of label values are
 * bounded; what does not fit is a Failure and changes nothing.
 */

import type * as Client from "./prom_client.ts";
import { Failure, messageOf } from "../core/failure.ts";
import { type Collector, isReserved, shownName } from "./collector.ts";
import { Series } from "./series.ts";

/** Collectors in all. */
const MAX_COLLECTORS = 1000;
/** Combinations of label values of one collector. */
const MAX_SERIES = 10_000;
/** Labels, buckets or quantiles of one collector. */
const MAX_PARTS = 100;
/** Characters of a name, a help text or a label's value. */
const MAX_TEXT = 1000;
/** Over which time a summary tells its quantiles, in seconds, and in how many steps it forgets. */
const SUMMARY = { maxAgeSeconds: 600, ageBuckets: 5 };

type Made = Client.Counter | Client.Gauge | Client.Histogram | Client.Summary;

interface Known {
  collector: Collector;
  /** As it is shown. */
  shown: string;
  made: Made;
  series: Series;
  /** It is in the configuration. */
  configured: boolean;
}

/** Which kinds understand which way of filling. */
const FILLS = {
  add: ["counter", "gauge"],
  sub: ["gauge"],
  observe: ["histogram", "summary"],
  set: ["gauge"],
} as const;

/** See the file's comment. */
export class AppMetrics {
  readonly #client: typeof Client;
  readonly #registry: Client.Registry;
  readonly #known = new Map<string, Known>();

  constructor(client: typeof Client) {
    this.#client = client;
    this.#registry = new client.Registry();
  }

  /** @returns false when the name is taken: nothing has changed. @throws Failure */
  declare(name: string, collector: Collector): boolean {
    if (this.#known.has(name)) return false;
    this.#add(name, collector, false);
    return true;
  }

  /** @throws Failure `undefined collector: <name>`, or labels, value or kind do not fit */
  add(name: string, value: number, labels: string[]): void {
    const { collector, made } = this.#fill("add", name, value, labels);
    if (collector.type === "counter" && value < 0) {
      throw new Failure(`cannot add ${value} to the counter "${name}": it only goes up`);
    }
    (made as Client.Counter | Client.Gauge).labels(...labels).inc(value);
  }

  /** As add. */
  sub(name: string, value: number, labels: string[]): void {
    const { made } = this.#fill("sub", name, value, labels);
    (made as Client.Gauge).labels(...labels).dec(value);
  }

  /** As add. */
  observe(name: string, value: number, labels: string[]): void {
    const { made } = this.#fill("observe", name, value, labels);
    (made as Client.Histogram | Client.Summary).labels(...labels).observe(value);
  }

  /** As add. */
  set(name: string, value: number, labels: string[]): void {
    const { made } = this.#fill("set", name, value, labels);
    (made as Client.Gauge).labels(...labels).set(value);
  }

  /** @throws Failure when there is no such collector */
  unregister(name: string): void {
    const { shown } = this.#find(name);
    this.#registry.removeSingleMetric(shown);
    this.#known.delete(name);
  }

  /**
   * Follows the configuration: what is written anew or differently begins at nothing, what is no
   * longer written goes, the rest keeps its values.
   * @returns what could not be declared, one Failure each
   */
  configure(collect: Readonly<Record<string, Collector>>): Failure[] {
    for (const [name, { collector, configured }] of [...this.#known]) {
      if (configured && !same(collect[name], collector)) this.unregister(name);
    }
    const failures: Failure[] = [];
    for (const [name, collector] of Object.entries(collect)) {
      const known = this.#known.get(name);
      if (known !== undefined) {
        known.configured = true;
        continue;
      }
      try {
        this.#add(name, collector, true);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failures.push(error);
      }
    }
    return failures;
  }

  /** The exposition of all collectors. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #add(name: string, collector: Collector, configured: boolean): void {
    const shown = shownName(name, collector);
    const refuse = (why: string, fix?: string) =>
      new Failure(`cannot declare the collector "${printable(name)}": ${why}`, { fix });
    if (this.#known.size >= MAX_COLLECTORS) {
      throw refuse(`there are ${MAX_COLLECTORS} already`, "use labels instead of names");
    }
    if (isReserved(shown)) throw refuse(`${printable(shown)} begins as metrics of this program do`);
    if ([...this.#known.values()].some((other) => other.shown === shown)) {
      throw refuse(`${printable(shown)} is the name of another one`);
    }
    const parts = [collector.labels, collector.buckets, Object.keys(collector.objectives)];
    if (parts.some((list) => list.length > MAX_PARTS)) {
      throw refuse(`it has more than ${MAX_PARTS} labels, buckets or objectives`);
    }
    if (shown.length + collector.help.length > MAX_TEXT) {
      throw refuse("its name or help is too long");
    }
    try {
      const made = this.#make(shown, collector);
      const series = new Series(MAX_SERIES);
      this.#known.set(name, { collector, shown, made, series, configured });
    } catch (error) {
      // The library may have registered what it refused afterwards.
      this.#registry.removeSingleMetric(shown);
      throw refuse(messageOf(error), "see the rules of Prometheus for names, labels and buckets");
    }
  }

  #make(name: string, { type, help, labels, buckets, objectives }: Collector): Made {
    const all = { name, help: help || name, labelNames: labels, registers: [this.#registry] };
    const client = this.#client;
    if (type === "counter") return new client.Counter(all);
    if (type === "gauge") return new client.Gauge(all);
    if (type === "histogram") {
      return new client.Histogram({ ...all, ...(buckets.length > 0 && { buckets }) });
    }
    const percentiles = Object.keys(objectives).map(Number);
    return new client.Summary({ ...all, ...SUMMARY, percentiles });
  }

  #find(name: string): Known {
    const known = this.#known.get(name);
    if (known === undefined) throw new Failure(`undefined collector: ${printable(name)}`);
    return known;
  }

  /** The collector, when this way of filling it with these labels is possible. */
  #fill(how: keyof typeof FILLS, name: string, value: number, labels: string[]): Known {
    const known = this.#find(name);
    const { collector: { type, labels: names }, series } = known;
    const refuse = (why: string) => new Failure(`cannot ${how} to the collector "${name}": ${why}`);
    if (!(FILLS[how] as readonly string[]).includes(type)) {
      throw refuse(`it is a ${type}; ${how} is for a ${FILLS[how].join(" or a ")}`);
    }
    if (!Number.isFinite(value)) throw refuse(`${value} is no number`);
    if (labels.length !== names.length) {
      const list = names.length === 0 ? "none" : names.join(", ");
      throw refuse(`it got ${labels.length} label values, its labels are: ${list}`);
    }
    if (labels.some((label) => label.length > MAX_TEXT)) throw refuse("a label value is too long");
    if (!series.admit(labels)) {
      throw refuse(`it has ${MAX_SERIES} combinations of label values already`);
    }
    return known;
  }
}

function printable(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}

function same(a: Collector | undefined, b: Collector): boolean {
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b);
}
