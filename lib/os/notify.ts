/**
 * Telling the service manager how we are (sd_notify(3)): ready, reloading, stopping, alive.
 *
 * The socket is a datagram socket named in NOTIFY_SOCKET, a path or, with `@` first, an abstract name,
 * which the runtime cannot address; so libc sends.
 *
 * Invariants: without NOTIFY_SOCKET nothing happens; a manager that does not listen never stalls or
 * fails us (the message is dropped, the caller is told by `false`); children never inherit what the
 * manager said to us, or they would speak in our name.
 */

import { libc } from "./ffi.ts";
import { AF_UNIX, unixAddress } from "./unix_sockets.ts";

const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;

/** What the manager says to us and to nobody below us; also everything that begins with LISTEN_. */
const OURS_ALONE = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/** True for a variable that children must not inherit. */
export function isOursAlone(name: string): boolean {
  return OURS_ALONE.includes(name) || name.startsWith("LISTEN_");
}

/** The line to the service manager, if there is one. */
export class ServiceNotice {
  readonly #address: Uint8Array<ArrayBuffer> | undefined;
  /** How often it wants to hear `alive()`, milliseconds; undefined: it does not watch us. */
  readonly watchdog: number | undefined;

  /** `env`: the environment we were started with; `pid`: our own. */
  constructor(env: Record<string, string>, pid: number) {
    const name = env.NOTIFY_SOCKET ?? "";
    this.#address = /^[/@]./.test(name) ? unixAddress(name) : undefined;
    this.watchdog = watchdogInterval(env, pid);
  }

  /** True when somebody is told. */
  get present(): boolean {
    return this.#address !== undefined;
  }

  /** Start-up, or a reload, is complete. `status`: one line for people. */
  ready(status?: string): boolean {
    return this.send({ READY: "1", ...statusOf(status) });
  }

  /** One line for people. */
  status(status: string): boolean {
    return this.send(statusOf(status));
  }

  /** A reload has begun; `ready` ends it. */
  reloading(): boolean {
    return this.send({ RELOADING: "1", MONOTONIC_USEC: String(monotonicMicros()) });
  }

  /** The shutdown has begun. */
  stopping(status?: string): boolean {
    return this.send({ STOPPING: "1", ...statusOf(status) });
  }

  /** The watchdog's due sign of life. */
  alive(): boolean {
    return this.send({ WATCHDOG: "1" });
  }

  /** Asks for `ms` more milliseconds from now, for a start, a reload or a stop. */
  extend(ms: number): boolean {
    return this.send({ EXTEND_TIMEOUT_USEC: String(Math.ceil(ms * 1000)) });
  }

  /** From now on another process is the service. */
  mainPid(pid: number): boolean {
    return this.send({ MAINPID: String(pid) });
  }

  /** Sends fields in one message. False: nobody is there, or the message could not be delivered. */
  send(fields: Record<string, string>): boolean {
    if (this.#address === undefined) return false;
    const text = Object.entries(fields)
      .map(([name, value]) => `${name}=${value.replaceAll("\n", " ")}`).join("\n");
    const message = new TextEncoder().encode(text);
    const c = libc();
    const fd = c.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    const length = BigInt(message.length);
    const sent = c.sendto(fd, message, length, MSG_NOSIGNAL, this.#address, this.#address.length);
    c.close(fd);
    return sent === length;
  }
}

/** Half of what the manager allows, as sd_watchdog_enabled(3) advises; undefined: not watched. */
export function watchdogInterval(env: Record<string, string>, pid: number): number | undefined {
  const micros = Number(env.WATCHDOG_USEC ?? "");
  if (!(micros > 0) || !Number.isFinite(micros)) return undefined;
  if (env.WATCHDOG_PID !== undefined && Number(env.WATCHDOG_PID) !== pid) return undefined;
  return micros / 2 / 1000;
}

/** CLOCK_MONOTONIC in microseconds, the clock the manager compares with. */
export function monotonicMicros(): bigint {
  const time = new BigInt64Array(2);
  libc().clock_gettime(CLOCK_MONOTONIC, time);
  return time[0] * 1_000_000n + time[1] / 1000n;
}

function statusOf(status: string | undefined): Record<string, string> {
  return status === undefined ? {} : { STATUS: status };
}
