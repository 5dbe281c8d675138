/**
 * The service `informer`: which plugins run workers, which workers, and how many.
 *
 * `informer.Jobs` answers that there are no pipelines; a plugin that has some brings its own in its
 * table.
 */

import { type RpcCall, RpcError, type RpcResult, type RpcTable } from "../../goridge/rpc.ts";
import type { WorkerSnapshot } from "../../pool/types.ts";
import { stringArgument } from "./argument.ts";
import type { RpcHost } from "./host.ts";

/** `informer.*` */
export function informerTable(host: RpcHost): RpcTable {
  return {
    "informer.List": () => ({ json: host.plugins() }),
    "informer.Workers": (call) => {
      // An unknown plugin has none: `null`, as RoadRunner says it, ends PHP's client in a TypeError.
      const workers = host.workers(pluginOf(call)) ?? [];
      return { json: { workers: workers.map(workerJson) } };
    },
    "informer.Jobs": (call) => {
      pluginOf(call);
      return { json: [] };
    },
    "informer.AddWorker": (call) => resized(call, host, (plugin) => host.addWorker(plugin)),
    "informer.RemoveWorker": (call) => resized(call, host, (plugin) => host.removeWorker(plugin)),
  };
}

/** @throws RpcError when there is no such plugin */
export function knownPlugin(host: RpcHost, plugin: string): string {
  if (host.plugins().includes(plugin)) return plugin;
  throw new RpcError(`no such plugin: ${plugin}`);
}

async function resized(
  call: RpcCall,
  host: RpcHost,
  resize: (plugin: string) => Promise<void>,
): Promise<RpcResult> {
  await resize(knownPlugin(host, pluginOf(call)));
  // Meaningless, and the same for every outcome but an error.
  return { json: false };
}

function pluginOf(call: RpcCall): string {
  return stringArgument(call, "the name of a plugin");
}

/** A worker in RoadRunner's words. */
function workerJson(worker: WorkerSnapshot): Record<string, unknown> {
  return {
    pid: worker.pid,
    status: worker.status,
    numExecs: worker.jobs,
    // Nanoseconds; more than a number holds exactly.
    created: BigInt(Date.parse(worker.created_at)) * 1_000_000n,
    memoryUsage: worker.memory_bytes,
    CPUPercent: worker.cpu_percent,
    command: worker.command,
    statusStr: worker.state,
  };
}
