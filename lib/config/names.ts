/**
 * The small languages inside values: application names, process ids, addresses, ports, address
 * blocks, file modes, signals. Pure, and free of the schema library, because client commands use
 * some of them without reading the whole file.
 *
 * Invariant: each reader returns the value or a Refusal that says what is so and what to write.
 */

import { nearest } from "../core/suggest.ts";
import { PROXY } from "./defaults.ts";
import type { PortRange } from "./config.ts";

/** Why a text is not what it should be: a predicate ("must be …") and what to do. */
export class Refusal {
  constructor(readonly message: string, readonly fix: string) {}
}

/** Longest application name and process id: both become parts of paths. */
const MAX_NAME = 64;

/** The application's name: part of the paths of socket, state and logs. */
export function readApplication(text: string): string | Refusal {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text) && text.length <= MAX_NAME) return text;
  const fix = `write e.g. ${applicationFrom(text)}`;
  const what = `must be letters, digits, ".", "_" and "-" (at most ${MAX_NAME})`;
  return new Refusal(`${what}, got ${JSON.stringify(text)}`, fix);
}

/** A valid application name near `text`: what a directory without `application` is called. */
export function applicationFrom(text: string): string {
  const name = text.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "");
  return name.slice(0, MAX_NAME) || "app";
}

/** The id of a process: part of file names, template names and environment variables. */
export function readProcessId(text: string): string | Refusal {
  if (text.includes("#")) {
    const fix = `write e.g. ${text.replace(/#+/g, "-")}`;
    return new Refusal("must not contain #, which marks replicas", fix);
  }
  if (/^[A-Za-z][A-Za-z0-9._-]*$/.test(text) && text.length <= MAX_NAME) return text;
  const what = `must begin with a letter and have only letters, digits, ".", "_" and "-"`;
  const near = text.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z]/, "p$&") || "web";
  return new Refusal(`${what} (at most ${MAX_NAME})`, `write e.g. ${near.slice(0, MAX_NAME)}`);
}

const ADDRESS_FIX = "write host:port, e.g. 127.0.0.1:8182, [::1]:8182 or :8182";

/** A listening address: `127.0.0.1:80`, `[::]:80`, `:80` (every address), `80` (this machine only). */
export function readAddress(text: string): { host: string; port: number } | Refusal {
  const refuse = (what: string, fix = ADDRESS_FIX) =>
    new Refusal(`${what}, got ${JSON.stringify(text)}`, fix);
  if (/^[a-z]+:\/\//i.test(text)) {
    return refuse("must be host:port without a scheme", `write ${text.replace(/^\w+:\/\//, "")}`);
  }
  if (/^\d+$/.test(text)) return withPort(PROXY.host, text, refuse);
  const match = /^(?:\[([^\]]*)\]|([^:[\]/\s]*)):(\d+)$/.exec(text);
  if (match === null) {
    const bare = /^([0-9a-f:]*:[0-9a-f:]*):(\d+)$/i.exec(text);
    if (bare !== null && isIpv6(bare[1])) {
      return refuse("must have brackets around an IPv6 address", `write [${bare[1]}]:${bare[2]}`);
    }
    const fix = isHost(text) ? `write ${text}:${PROXY.port}` : ADDRESS_FIX;
    return refuse("must be host:port", fix);
  }
  const [, six, host, port] = match;
  if (six !== undefined && !isIpv6(six)) return refuse("must have an IPv6 address in [ ]");
  if (six === undefined && host !== "" && !isHost(host)) return refuse("must begin with a host");
  return withPort(six ?? (host || "0.0.0.0"), port, refuse);
}

function withPort(host: string, port: string, refuse: (what: string) => Refusal) {
  if (Number(port) > 65535) return refuse("must have a port between 0 and 65535");
  return { host, port: Number(port) };
}

/** A host name or an address. */
export function isHost(text: string): boolean {
  if (/^[\d.]+$/.test(text)) return isIpv4(text);
  return isIpv6(text) ||
    /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_-]+)*\.?$/i.test(text);
}

/** Four numbers up to 255. */
export function isIpv4(text: string): boolean {
  return /^(?:\d{1,3}\.){3}\d{1,3}$/.test(text) && text.split(".").every((n) => Number(n) <= 255);
}

/** Whatever the URL standard takes for an IPv6 address. */
export function isIpv6(text: string): boolean {
  return text.includes(":") && URL.canParse(`http://[${text}]/`);
}

/** An address block: `10.0.0.0/8`, `::1/128`; a bare address is the block of that one address. */
export function readCidr(text: string): string | Refusal {
  const [address, bits, ...rest] = text.split("/");
  const max = isIpv4(address) ? 32 : isIpv6(address) ? 128 : undefined;
  const refuse = (what: string, fix: string) =>
    new Refusal(`${what}, got ${JSON.stringify(text)}`, fix);
  if (max === undefined || rest.length > 0) {
    return refuse("must be an address block", "write e.g. 10.0.0.0/8 or fd00::/8");
  }
  if (bits === undefined) return `${address}/${max}`;
  if (/^\d{1,3}$/.test(bits) && Number(bits) <= max) return `${address}/${Number(bits)}`;
  return refuse(`must have a prefix length of 0 to ${max}`, `write e.g. ${address}/${max}`);
}

/** A process's ports: `8080`, `18182-18299`, or `0` for any free one. */
export function readPorts(text: string): PortRange | Refusal {
  const refuse = (what: string, fix: string) =>
    new Refusal(`${what}, got ${JSON.stringify(text)}`, fix);
  const zeros = /^\s*0+([1-9]\d*)\s*$/.exec(text);
  if (zeros !== null) return refuse("must not begin with 0", `write ${zeros[1]}`);
  const match = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(text);
  if (match === null) {
    return refuse("must be a port or a range of ports", "write 8080, 18182-18299, or 0 for any");
  }
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  if (from > 65535 || to > 65535) {
    return refuse("must be between 0 and 65535", "write a smaller number");
  }
  if (to < from) return refuse("must ascend", `write ${to}-${from}`);
  if (from === 0 && to > 0) {
    return refuse("must not begin at 0", "write 0 alone for any free port, or begin at 1024");
  }
  return { from, to };
}

/** Permission bits in octal digits: `660`, `0660`, `0o660`. */
export function readMode(text: string): number | Refusal {
  const digits = /^(?:0o)?([0-7]{1,4})$/.exec(text)?.[1];
  const mode = digits === undefined ? NaN : parseInt(digits, 8);
  if (mode <= 0o777) return mode;
  const what = `must be octal permission digits of 0 to 777, got ${JSON.stringify(text)}`;
  return new Refusal(what, 'write e.g. "660"');
}

/** Signals a process can be told to stop with. SIGSTOP is none: it ends nothing. */
export const STOP_SIGNALS: readonly Deno.Signal[] = [
  "SIGTERM",
  "SIGINT",
  "SIGQUIT",
  "SIGHUP",
  "SIGUSR1",
  "SIGUSR2",
  "SIGKILL",
  "SIGALRM",
  "SIGVTALRM",
  "SIGPROF",
  "SIGABRT",
  "SIGPIPE",
  "SIGIO",
  "SIGPWR",
  "SIGWINCH",
  "SIGCONT",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGURG",
  "SIGCHLD",
  "SIGTRAP",
  "SIGBUS",
  "SIGFPE",
  "SIGILL",
  "SIGSEGV",
  "SIGSYS",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGSTKFLT",
];

/** Signals that people know by number. */
const SIGNAL_NUMBERS: Record<string, Deno.Signal> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  9: "SIGKILL",
  10: "SIGUSR1",
  12: "SIGUSR2",
  15: "SIGTERM",
};

/** A signal by name. */
export function readSignal(text: string): Deno.Signal | Refusal {
  const known = STOP_SIGNALS.find((signal) => signal === text);
  if (known !== undefined) return known;
  const got = JSON.stringify(text);
  if (text === "SIGSTOP") {
    return new Refusal(`must end the process; ${got} only pauses it`, "write SIGTERM");
  }
  if (/^(?:SIG)?RT/i.test(text)) {
    return new Refusal(`must not be a real-time signal, got ${got}`, "write e.g. SIGUSR1");
  }
  const numbered = SIGNAL_NUMBERS[text];
  if (numbered !== undefined) {
    return new Refusal(`must be a signal name, got ${text}`, `write ${numbered}`);
  }
  const full = text.toUpperCase().replace(/^(?:SIG)?/, "SIG");
  const near = nearest(full, STOP_SIGNALS) ?? "SIGTERM";
  return new Refusal(`must be a signal name, got ${got}`, `write ${near}`);
}
