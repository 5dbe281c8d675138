/**
 * The `metrics` section of RoadRunner: Prometheus text on an address of its own.
 *
 * Invariant: types and schema; a value of this type came out of the schema complete.
 */

import * as z from "zod";
import { type Collector, isReserved, shownName } from "../../telemetry/collector.ts";
import { METRICS } from "../defaults.ts";
import { readAddress, Refusal } from "../names.ts";
import { described, oneOf, read, refuse, section } from "../schema/fields.ts";
import type { SectionProblem, SectionSchema } from "../sections.ts";
import { compareAddressed } from "./compare.ts";
import { textOrEmpty, texts } from "./fields.ts";

/** `metrics`, checked and complete. */
export interface MetricsConfig {
  address: { host: string; port: number };
  /** Collectors of the application, by name. */
  collect: Record<string, CollectorConfig>;
}

/** One collector that the application fills by RPC. */
export type CollectorConfig = Collector;

/** Collectors one file may declare. */
const MAX_COLLECTORS = 1000;

const NAME = /^[A-Za-z_:][A-Za-z0-9_:]*$/;
const LABEL = /^(?!__)[A-Za-z_][A-Za-z0-9_]*$/;

const name = z.string().superRefine((value, context) => {
  if (NAME.test(value)) return;
  const what = "must have only letters, digits and _ and not begin with a digit";
  refuse(context, new Refusal(what, `write e.g. ${value.replace(/[^A-Za-z0-9_:]+/g, "_")}`));
});

const labels = texts("Names of its labels; the application gives their values in this order.", {
  defaultFrom: "none",
  example: "[type]",
}).superRefine((all, context) => {
  const bad = all.find((label) => !LABEL.test(label));
  if (bad === undefined) return;
  const what = `must be names of letters, digits and _, got ${JSON.stringify(bad)}`;
  refuse(context, new Refusal(what, "write e.g. [type]"));
});

const buckets = described(
  z.array(z.number()).superRefine((all, context) => {
    if (all.every((bound, i) => i === 0 || bound > all[i - 1])) return;
    const sorted = [...new Set(all)].sort((a, b) => a - b).join(", ");
    refuse(context, new Refusal("must ascend", `write [${sorted}]`));
  }),
  "list of numbers",
  "Upper bounds of a histogram's buckets, ascending.",
  { defaultFrom: "Prometheus's own", example: "[0.1, 0.5, 1]" },
);

const quantile = z.string().superRefine((value, context) => {
  if (/^\d+(?:\.\d+)?$/.test(value)) return;
  refuse(context, new Refusal("must be a number", "write e.g. 0.99"));
});

const quantiles = z.record(quantile, z.number());
const objectives = described(
  z.union([quantiles, z.array(quantiles)]).transform((value): Record<string, number> =>
    Object.assign({}, ...(Array.isArray(value) ? value : [value]))
  ),
  "map, or list of maps",
  "Quantiles of a summary, each with its tolerated error.",
  { defaultFrom: "none", example: "{ 0.5: 0.05, 0.99: 0.001 }" },
);

const collector = section("A metric that the application fills by RPC.", {
  type: oneOf(["counter", "gauge", "histogram", "summary"], "What it is."),
  help: textOrEmpty("What it says, for people.", { example: "Orders placed" }).optional(),
  namespace: textOrEmpty("First part of its name.", { example: "shop" }).optional(),
  subsystem: textOrEmpty("Second part of its name.", { example: "cart" }).optional(),
  labels: labels.optional(),
  buckets: buckets.optional(),
  objectives: objectives.optional(),
});

const schema = section("Prometheus metrics by HTTP, on an address of their own (RoadRunner).", {
  address: read("host:port", readAddress, "Address to listen on; the path is `/metrics`.", {
    default: `${METRICS.address.host}:${METRICS.address.port}`,
  }).optional(),
  collect: described(
    z.record(name, collector).superRefine((all, context) => {
      if (Object.keys(all).length <= MAX_COLLECTORS) return;
      const what = `must have at most ${MAX_COLLECTORS} collectors`;
      refuse(context, new Refusal(what, "use labels instead"));
    }),
    "map",
    "Metrics of the application, by name.",
    { defaultFrom: "none" },
  ).optional(),
});

/** The section `metrics`. */
export const metricsSection: SectionSchema = {
  schema,
  roadrunner: true,
  complete(value): MetricsConfig {
    const { address = METRICS.address, collect = {} } = value as z.output<typeof schema>;
    const complete = Object.entries(collect).map(([name, values]): [string, CollectorConfig] => [
      name,
      {
        type: values.type,
        help: values.help ?? name,
        namespace: values.namespace ?? "",
        subsystem: values.subsystem ?? "",
        labels: values.labels ?? [],
        buckets: values.buckets ?? [],
        objectives: values.objectives ?? {},
      },
    ]);
    return { address, collect: Object.fromEntries(complete) };
  },
  check(value) {
    const seen = new Map<string, string>();
    return Object.entries((value as MetricsConfig).collect).flatMap(([name, collector]) => {
      const shown = shownName(name, collector);
      const twin = seen.get(shown);
      seen.set(shown, name);
      const say = (what: string): SectionProblem[] => [{
        severity: "error",
        path: ["collect", name],
        spot: "key",
        message: `metrics.collect.${name} is shown as ${shown}, ${what}`,
        fix: "give it another name or namespace",
      }];
      if (isReserved(shown)) return say("a name of this program's own metrics");
      return twin === undefined ? [] : say(`as ${twin} is`);
    });
  },
  compare: (old, next) => compareAddressed("metrics", old, next),
};
