/**
 * `proxy` and `control`: the addresses of the daemon.
 *
 * Invariant: every timeout and limit of the public side has a key here.
 */

import * as z from "zod";
import { CONTROL_MODE, HEALTH, PROXY, UPSTREAM_HOST } from "../defaults.ts";
import { isHost, readAddress, readCidr, readMode, Refusal } from "../names.ts";
import { count, described, duration, oneOf, read, section, size, text } from "./fields.ts";
import { healthPath, healthTimes } from "./health.ts";

/** The section `control`. */
export const control = section("The socket through which commands reach the daemon.", {
  socket: text("Path of the Unix socket.", {
    defaultFrom: "`control.sock` in the runtime directory",
    example: "/run/app/control.sock",
  }).optional(),
  mode: read(
    "octal digits",
    readMode,
    "Permission bits of the socket, read as octal digits whether quoted or not: 660 is rw-rw----.",
    { default: CONTROL_MODE.toString(8), example: "660" },
  ).optional(),
  owner: text("User (name or number) that the socket is given to. Needs the right to do so.", {
    example: "deploy",
  }).optional(),
  group: text("Group (name or number) that the socket is given to.", { example: "deploy" })
    .optional(),
});

const T = PROXY.timeouts;
const L = PROXY.limits;

/** The section `proxy`. */
export const proxy = section("The stable public address and how requests are forwarded.", {
  address: read(
    "host:port",
    readAddress,
    "Address to listen on: `127.0.0.1:8182`, `[::]:80`, `:80` (every IPv4 address), or a port alone (this machine only). Port 0: any free one.",
    { default: `${PROXY.host}:${PROXY.port}` },
  ).optional(),
  front: oneOf(
    ["raw", "serve"],
    "HTTP server behind the address: `raw` is our own strict HTTP/1.1 with timeouts and limits, `serve` the runtime's, which adds HTTP/2 and lacks those.",
    { default: PROXY.front },
  ).optional(),
  upstream_host: read(
    "host",
    (value) =>
      isHost(value)
        ? value
        : new Refusal(`must be a host, got ${JSON.stringify(value)}`, "write e.g. 127.0.0.1"),
    "Host on which processes listen: for forwarding, health checks and finding free ports.",
    {
      defaultFrom: `the host of \`proxy.address\`, or ${UPSTREAM_HOST} when that is every address`,
      example: "127.0.0.1",
    },
  ).optional(),
  health: section("Health check of the proxied process, and default for the others.", {
    path: healthPath({ default: HEALTH.path }),
    ...healthTimes(),
  }).optional(),
  drain_timeout: duration(
    "Longest time a retired release may take to finish the requests it holds.",
    { default: PROXY.drain_timeout },
  ).optional(),
  force_stop_timeout: duration(
    "Time between the stop signal and SIGKILL, unless a process has its own `graceful_stop`.",
    { default: PROXY.force_stop_timeout },
  ).optional(),
  trusted_proxies: described(
    z.array(
      read("address block", readCidr, "Address block, or one address.", { example: "10.0.0.0/8" }),
    ),
    "list of address blocks",
    "Peers whose X-Forwarded-* headers are believed; from all others they are removed.",
    { defaultFrom: "none", example: "[10.0.0.0/8]" },
  ).optional(),
  timeouts: section("Limits on waiting. 0: no limit.", {
    header: duration("For a client to send a whole request head.", { default: T.header })
      .optional(),
    idle: duration("For a connection without a request.", { default: T.idle }).optional(),
    send: duration("For a peer to take the next bytes.", { default: T.send }).optional(),
    connect: duration("For connecting to the process.", { default: T.connect }).optional(),
    response: duration("For the process to begin its answer.", { default: T.response })
      .optional(),
  }).optional(),
  limits: section("Limits on size. 0: no limit.", {
    header_bytes: size("Bytes of a request head.", { default: L.header_bytes }).optional(),
    headers: count("Headers of a request.", { default: L.headers, min: 0, max: 100_000 })
      .optional(),
    body: size("Bytes of a request body.", { default: L.body, example: "10MB" }).optional(),
  }).optional(),
  hold: duration("How long requests wait for a crashed process to come back before 503.", {
    default: PROXY.hold,
  }).optional(),
});
