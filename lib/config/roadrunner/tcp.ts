/**
 * The `tcp` section of RoadRunner, with keys of ours.
 *
 * Invariant: types, schema and what the keys mean together; a value of these types came out of the
 * schema complete, sizes in bytes, durations in milliseconds, paths absolute.
 */

import * as z from "zod";
import { TCP } from "../defaults.ts";
import { Refusal } from "../names.ts";
import { count, described, duration, read, section, text } from "../schema/fields.ts";
import type { SectionPlace, SectionProblem, SectionSchema } from "../sections.ts";
import { megabytes, readListen } from "./fields.ts";
import { completePool, type PoolConfig, poolSchema } from "./pool.ts";
import { notThere } from "./there.ts";

/** `tcp`, checked and complete. */
export interface TcpConfig {
  servers: Record<string, TcpServerConfig>;
  pool: PoolConfig;
  /** How long the connections of a retired generation may live on (key of ours). */
  drain_timeout: number;
}

/** One of `tcp.servers`. */
export interface TcpServerConfig {
  addr: { host: string; port: number } | { path: string };
  /** Ends a message; never empty. */
  delimiter: string;
  /** Bytes of a message, with its delimiter. */
  read_buf_size: number;
  /** Keys of ours, from here on. Absolute paths of PEM files. */
  tls?: { cert: string; key: string };
  /** Milliseconds; 0: none. */
  idle_timeout: number;
  send_timeout: number;
  /** 0: no limit. */
  max_connections: number;
}

/** As RoadRunner's. */
const MAX_READ_BUF_SIZE = 100 * 1024 * 1024;
const MAX_DELIMITER = 255;
const MAX_CONNECTIONS = 1_000_000;

function readName(name: string): string | Refusal {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return name;
  const what = `must be letters, digits, ".", "_" and "-" (at most 64)`;
  const near = name.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "");
  return new Refusal(what, `write e.g. ${near.slice(0, 64) || "main"}`);
}

function readAddr(text: string): TcpServerConfig["addr"] | Refusal {
  return readListen(text.replace(/^tcp:\/\//, ""));
}

function readDelimiter(text: string): string | Refusal {
  if (new TextEncoder().encode(text).length <= MAX_DELIMITER) return text || TCP.delimiter;
  return new Refusal(`must be at most ${MAX_DELIMITER} bytes`, 'write e.g. "\\n"');
}

const readBufSize = (defaultFrom: string) =>
  megabytes(
    "Longest message, with its delimiter: megabytes, or a size. A connection with a longer one is closed. 0: the default.",
    { defaultFrom, example: "4", max: MAX_READ_BUF_SIZE },
  );

const server = section("One address.", {
  addr: read(
    "host:port or unix://path",
    readAddr,
    "Address to listen on, with or without `tcp://`; `unix:///run/app/tcp.sock` for a Unix socket.",
    { example: "127.0.0.1:7777" },
  ),
  delimiter: read(
    "text",
    readDelimiter,
    "What ends a message. It stays in the message. In double quotes, so that `\\n` is a line end.",
    { defaultFrom: 'CR LF, `"\\r\\n"`', example: '"\\n"' },
  ).optional(),
  read_buf_size: readBufSize("`tcp.read_buf_size`").optional(),
  tls: section("TLS on this address. (Not RoadRunner's.)", {
    cert: text("PEM file of the certificate, with its chain.", { example: "tls/server.crt" }),
    key: text("PEM file of the key.", { example: "tls/server.key" }),
  }).optional(),
  idle_timeout: duration(
    "Time without a byte from the client, while it is its turn, after which it is closed. 0: none. (Not RoadRunner's.)",
    { default: TCP.idle_timeout, example: "5m" },
  ).optional(),
  send_timeout: duration(
    "Time after which a client that takes no byte of an answer is closed. 0: none. (Not RoadRunner's.)",
    { default: TCP.send_timeout },
  ).optional(),
  max_connections: count(
    "Connections at a time; further ones are closed at once. 0: no limit. (Not RoadRunner's.)",
    { default: TCP.max_connections, example: 1000, min: 0, max: MAX_CONNECTIONS },
  ).optional(),
});

const schema = section("TCP connections for workers (RoadRunner).", {
  servers: described(
    z.record(read("name", readName, "Name of a server."), server),
    "map",
    "Where clients connect, by a name that workers are told.",
  ),
  read_buf_size: readBufSize("`1MiB`").optional(),
  pool: poolSchema.optional(),
  drain_timeout: duration(
    "Longest time the connections of a retired release may live on. (Not RoadRunner's.)",
    { default: TCP.drain_timeout },
  ).optional(),
});

type Values = z.output<typeof schema>;

/** The section `tcp`. Its comparison is the plugin's. */
export const tcpSection: SectionSchema = {
  schema,
  roadrunner: true,
  complete: (value, place) => complete(value as Values, place),
  check: (value) => check(value as TcpConfig),
};

function complete({ servers, read_buf_size, pool, drain_timeout }: Values, place: SectionPlace) {
  const size = read_buf_size || TCP.read_buf_size;
  const whole: TcpConfig = {
    servers: Object.fromEntries(
      Object.entries(servers).map(([name, values]) => [name, serverOf(name, values, size, place)]),
    ),
    pool: completePool(pool ?? {}, place.cores),
    drain_timeout: drain_timeout ?? TCP.drain_timeout,
  };
  return whole;
}

function serverOf(
  name: string,
  { addr, tls, ...values }: Values["servers"][string],
  size: number,
  place: SectionPlace,
): TcpServerConfig {
  const absolute = (path: string, ...at: string[]) =>
    place.absolute(path, ["servers", name, ...at]);
  return {
    addr: "path" in addr ? { path: absolute(addr.path, "addr") } : addr,
    delimiter: values.delimiter ?? TCP.delimiter,
    read_buf_size: values.read_buf_size || size,
    tls: tls && {
      cert: absolute(tls.cert, "tls", "cert"),
      key: absolute(tls.key, "tls", "key"),
    },
    idle_timeout: values.idle_timeout ?? TCP.idle_timeout,
    send_timeout: values.send_timeout ?? TCP.send_timeout,
    max_connections: values.max_connections ?? TCP.max_connections,
  };
}

function check({ servers }: TcpConfig): SectionProblem[] {
  const all = Object.entries(servers);
  if (all.length > 0) return all.flatMap(([name, server]) => checkServer(name, server));
  const fix = "add servers: { main: { addr: 127.0.0.1:7777 } }";
  return [{ severity: "error", path: [], message: "tcp has no servers", fix }];
}

function checkServer(name: string, { addr, tls, delimiter }: TcpServerConfig): SectionProblem[] {
  const problems: SectionProblem[] = [];
  const field = `tcp.servers.${name}`;
  const say = (severity: "error" | "warning", path: string[], message: string, fix: string) =>
    problems.push({ severity, path: ["servers", name, ...path], message, fix });
  if (tls !== undefined && "path" in addr) {
    const message = `${field}.tls: a Unix socket has no TLS`;
    say("error", ["tls"], message, "remove tls, or listen on host:port");
  }
  for (const key of ["cert", "key"] as const) {
    const wrong = tls && notThere(tls[key], "file");
    if (wrong === undefined) continue;
    say("error", ["tls", key], `${field}.tls.${key}: ${wrong}`, "name the PEM file");
  }
  if (/\\[rnt]/.test(delimiter)) {
    const message = `${field}.delimiter has a backslash in it, where a line end may be meant`;
    say("warning", ["delimiter"], message, 'write it in double quotes: "\\r\\n"');
  }
  return problems;
}
