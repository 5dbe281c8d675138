/**
 * The service `service`: programs beside the workers, made and ended while the daemon runs.
 *
 * RoadRunner's numbers are seconds, and 0 is its default. Who may create a service may run any command
 * as the daemon's user, so there are services only where the configuration has a section for them.
 */

import { SERVICE } from "../../config/defaults.ts";
import { type RpcCall, RpcError, type RpcMethod, type RpcTable } from "../../goridge/rpc.ts";
import {
  flag,
  float,
  integer,
  Message,
  messages,
  nested,
  text,
  textMap,
  texts,
  unsigned,
} from "../../goridge/rpc_message.ts";
import type { RpcHost, ServiceHost, ServiceProcess } from "./host.ts";

interface Create {
  name: string;
  command: string;
  process_num: number;
  exec_timeout: number;
  remain_after_exit: boolean;
  env: Record<string, string>;
  restart_sec: number;
  service_name_in_logs: boolean;
  timeout_stop_sec: number;
}

const create = new Message<Create>({
  name: text(1),
  command: text(2),
  process_num: integer(3),
  exec_timeout: integer(4),
  remain_after_exit: flag(5),
  env: textMap(6),
  restart_sec: unsigned(7),
  service_name_in_logs: flag(8),
  timeout_stop_sec: unsigned(9),
});

const service = new Message<{ name: string }>({ name: text(1) });
const response = new Message<{ message: string; ok: boolean }>({ message: text(1), ok: flag(2) });
const list = new Message<{ services: string[] }>({ services: texts(1) });

interface ErrorStatus {
  code: number;
  message: string;
}

interface Status {
  cpu_percent: number;
  pid: number;
  memory_usage: number;
  command: string;
  status: ErrorStatus | null;
}

const status = new Message<Status>({
  cpu_percent: float(1),
  pid: integer(2),
  memory_usage: unsigned(3),
  command: text(4),
  status: nested(5, new Message<ErrorStatus>({ code: integer(1), message: text(2) })),
});
const statuses = new Message<{ status: Status[] }>({ status: messages(1, status) });

/** Processes of one service; a number far beyond that is a mistake of the caller. */
const MOST_PROCESSES = 1000;

/** Code of a status that tells why a process does not run: UNKNOWN in gRPC's numbers. */
const NOT_RUNNING = 2;

/** `service.*` */
export function serviceTable(host: RpcHost): RpcTable {
  const onService =
    (act: (services: ServiceHost, name: string) => Promise<void>): RpcMethod => async (call) => {
      await act(servicesOf(host), nameOf(call));
      return response.answer(call, { message: "", ok: true });
    };
  return {
    "service.Create": async (call) => {
      await createService(servicesOf(host), create.argument(call));
      return response.answer(call, { message: "", ok: true });
    },
    "service.Terminate": onService((services, name) => services.terminate(name)),
    "service.Restart": onService((services, name) => services.restart(name)),
    "service.Statuses": (call) =>
      statuses.answer(call, { status: processesOf(host, call).map(statusOf) }),
    // Older clients know services of one process only.
    "service.Status": (call) => {
      const [first] = processesOf(host, call);
      if (first === undefined) throw new RpcError("the service has no process");
      return status.answer(call, statusOf(first));
    },
    "service.List": (call) => list.answer(call, { services: servicesOf(host).list() }),
  };
}

function servicesOf({ services }: RpcHost): ServiceHost {
  if (services !== undefined) return services;
  throw new RpcError('services are off: there is no section "service" in the configuration');
}

function createService(services: ServiceHost, order: Create): Promise<void> {
  const { name, command } = order;
  if (name === "") throw new RpcError('"name" must not be empty');
  if (command === "") throw new RpcError('"command" must not be empty');
  for (const key of ["process_num", "exec_timeout", "restart_sec", "timeout_stop_sec"] as const) {
    const value = order[key];
    if (Number.isSafeInteger(value) && value >= 0) continue;
    throw new RpcError(`"${key}" cannot be ${value}: it is a whole number`);
  }
  if (order.process_num > MOST_PROCESSES) {
    throw new RpcError(`"process_num" cannot be ${order.process_num}: at most ${MOST_PROCESSES}`);
  }
  return services.create(name, {
    command,
    process_num: order.process_num || SERVICE.process_num,
    exec_timeout: order.exec_timeout * 1000,
    remain_after_exit: order.remain_after_exit,
    restart_sec: order.restart_sec * 1000 || SERVICE.restart_sec,
    timeout_stop_sec: order.timeout_stop_sec * 1000 || SERVICE.timeout_stop_sec,
    env: order.env,
    service_name_in_log: order.service_name_in_logs,
  });
}

function nameOf(call: RpcCall): string {
  const { name } = service.argument(call);
  if (name === "") throw new RpcError('"name" must not be empty');
  return name;
}

/** @throws RpcError when there is no such service */
function processesOf(host: RpcHost, call: RpcCall): ServiceProcess[] {
  const name = nameOf(call);
  const found = servicesOf(host).processes(name);
  if (found === undefined) throw new RpcError(`no such service: ${name}`);
  return found;
}

function statusOf(process: ServiceProcess): Status {
  const { error } = process;
  return {
    cpu_percent: process.cpu_percent,
    pid: process.pid,
    memory_usage: process.memory_bytes,
    command: process.command,
    status: error === undefined ? null : { code: NOT_RUNNING, message: error },
  };
}
