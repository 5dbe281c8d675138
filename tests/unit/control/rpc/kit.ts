/** A daemon as the RPC tables see it, and calls that PHP makes to it. */

import { Failure } from "../../../../lib/core/failure.ts";
import {
  type AppMetrics,
  type Health,
  type RpcHost,
  rpcTables,
  type ServiceHost,
  type ServiceProcess,
} from "../../../../lib/control/rpc/mod.ts";
import { openRpc, type RpcServer } from "../../../../lib/goridge/rpc_server.ts";
import type { RpcTable } from "../../../../lib/goridge/rpc.ts";
import { realClock } from "../../../../lib/os/clock.ts";
import type { WorkerSnapshot } from "../../../../lib/pool/types.ts";
import { callFromPhp, type PhpCall, type PhpReply } from "../../../kit/php_rpc.ts";

/** A worker as the pool shows it. */
export const WORKER: WorkerSnapshot = {
  id: "http#0",
  plugin: "http",
  pool: "http",
  release_id: "v1",
  pid: 10,
  state: "ready",
  status: 1,
  jobs: 3,
  created_at: "2023-11-14T22:13:20.001Z",
  age_ms: 5,
  memory_bytes: 12345678,
  cpu_percent: 0.5,
  doing: null,
  since_ms: null,
  command: "php worker.php",
};

/** What was asked of the daemon is in `asked`; what it answers stands in its fields. */
export class FakeHost implements RpcHost {
  readonly asked: string[] = [];
  sections: Record<string, unknown> = { rpc: { listen: "tcp://127.0.0.1:6001" } };
  states: Record<string, Health> = { http: { code: 200, message: "" } };
  processes: Record<string, ServiceProcess[]> = {};
  failure: Failure | undefined;
  known = new Set<string>();

  config = () => this.sections;
  plugins = () => ["http", "jobs"];
  workers = (plugin: string) => plugin === "http" ? [WORKER] : undefined;
  reset = (plugin: string) => this.#ask(`reset ${plugin}`);
  addWorker = (plugin: string) => this.#ask(`add ${plugin}`);
  removeWorker = (plugin: string) => this.#ask(`remove ${plugin}`);
  health = (plugin: string, question: string) => {
    this.asked.push(`${question} ${plugin}`);
    return this.states[plugin];
  };
  log = (...line: unknown[]) => void this.asked.push(`log ${JSON.stringify(line)}`);

  services: ServiceHost | undefined = {
    create: (name, service) => this.#ask(`create ${name} ${JSON.stringify(service)}`),
    terminate: (name) => this.#ask(`terminate ${name}`),
    restart: (name) => this.#ask(`restart ${name}`),
    list: () => Object.keys(this.processes),
    processes: (name) => this.processes[name],
  };

  metrics: AppMetrics | undefined = {
    declare: (name, collector) => {
      this.asked.push(`declare ${name} ${JSON.stringify(collector)}`);
      const isNew = !this.known.has(name);
      this.known.add(name);
      return isNew;
    },
    add: (...sample) => this.#sample("add", sample),
    sub: (...sample) => this.#sample("sub", sample),
    observe: (...sample) => this.#sample("observe", sample),
    set: (...sample) => this.#sample("set", sample),
    unregister: (name) => this.#sample("unregister", [name]),
  };

  #sample(how: string, sample: [string, ...unknown[]]): void {
    this.asked.push(`${how} ${JSON.stringify(sample)}`);
    if (!this.known.has(sample[0])) throw new Failure(`undefined collector: ${sample[0]}`);
  }

  async #ask(what: string): Promise<void> {
    this.asked.push(what);
    // As the daemon does: not in the turn of the call.
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
  }
}

/** A server with the tables on a fake daemon. */
export function serveHost(
  host: RpcHost,
  listen = "tcp://127.0.0.1:0",
  plugins: readonly RpcTable[] = [],
): Promise<RpcServer> {
  const table = rpcTables(host, plugins);
  return openRpc({ listen, owner: undefined, table, emit: () => {}, clock: realClock });
}

/** What PHP gets for each call, and what the daemon was asked. */
export async function made(
  calls: PhpCall[],
  host = new FakeHost(),
): Promise<[PhpReply[], string[]]> {
  await using server = await serveHost(host);
  return [await callFromPhp(server.address, calls), host.asked];
}

/** A `string` field of a message, in hex; short ones only. */
export function field(number: number, value: string): string {
  const bytes = new TextEncoder().encode(value);
  return new Uint8Array([number << 3 | 2, bytes.length]).toHex() + bytes.toHex();
}
