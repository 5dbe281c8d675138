/**
 * The service `metrics`: collectors that the application declares and fills.
 */

import type { CollectorConfig } from "../../config/roadrunner/metrics.ts";
import { type RpcCall, RpcError, type RpcMethod, type RpcTable } from "../../goridge/rpc.ts";
import { isObject, objectArgument, stringArgument } from "./argument.ts";
import type { AppMetrics, RpcHost } from "./host.ts";

type Fill = "add" | "sub" | "observe" | "set";

const TYPES: readonly CollectorConfig["type"][] = ["histogram", "gauge", "counter", "summary"];

/** `metrics.*` */
export function metricsTable(host: RpcHost): RpcTable {
  const fill = (how: Fill): RpcMethod => (call) => {
    const { name, value, labels } = sampleOf(call);
    metricsOf(host)[how](name, value, labels);
    return { json: true };
  };
  return {
    "metrics.Add": fill("add"),
    "metrics.Sub": fill("sub"),
    "metrics.Observe": fill("observe"),
    "metrics.Set": fill("set"),
    "metrics.Declare": (call) => {
      const { name, collector } = declarationOf(call);
      // Every worker declares what it is going to fill: only the first one is news.
      if (!metricsOf(host).declare(name, collector)) {
        host.log("debug", `the collector "${name}" is declared already`, {});
      }
      return { json: true };
    },
    "metrics.Unregister": (call) => {
      metricsOf(host).unregister(stringArgument(call, "the name of a collector"));
      return { json: true };
    },
  };
}

function metricsOf({ metrics }: RpcHost): AppMetrics {
  if (metrics !== undefined) return metrics;
  throw new RpcError('metrics are off: there is no section "metrics" in the configuration');
}

function sampleOf(call: RpcCall): { name: string; value: number; labels: string[] } {
  const given = objectArgument(call);
  const { name, value } = given;
  if (typeof name !== "string" || name === "") throw new RpcError('"name" must be a string');
  if (typeof value !== "number") throw new RpcError('"value" must be a number');
  return { name, value, labels: strings(given, "labels") };
}

function declarationOf(call: RpcCall): { name: string; collector: CollectorConfig } {
  const { name, collector } = objectArgument(call);
  if (typeof name !== "string" || name === "") throw new RpcError('"name" must be a string');
  if (!isObject(collector)) throw new RpcError('"collector" must be an object');
  const type = TYPES.find((known) => known === collector.type);
  if (type === undefined) throw new RpcError(`"type" must be one of ${TYPES.join(", ")}`);
  return {
    name,
    collector: {
      type,
      help: optionalString(collector, "help"),
      namespace: optionalString(collector, "namespace"),
      subsystem: optionalString(collector, "subsystem"),
      labels: strings(collector, "labels"),
      buckets: listOf(collector, "buckets", "numbers", isNumber),
      objectives: objectivesOf(collector.objectives ?? {}),
    },
  };
}

function optionalString(given: Record<string, unknown>, key: string): string {
  const value = given[key] ?? "";
  if (typeof value !== "string") throw new RpcError(`"${key}" must be a string`);
  return value;
}

function strings(given: Record<string, unknown>, key: string): string[] {
  return listOf(given, key, "strings", (item) => typeof item === "string");
}

function listOf<T>(
  given: Record<string, unknown>,
  key: string,
  of: string,
  fits: (item: unknown) => item is T,
): T[] {
  const value = given[key] ?? [];
  if (Array.isArray(value) && value.every(fits)) return value;
  throw new RpcError(`"${key}" must be a list of ${of}`);
}

function objectivesOf(value: unknown): Record<string, number> {
  // An empty map of PHP is a list in JSON.
  if (Array.isArray(value) && value.length === 0) return {};
  if (!isObject(value) || !Object.values(value).every(isNumber)) {
    throw new RpcError('"objectives" must be an object of numbers');
  }
  return value as Record<string, number>;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}
