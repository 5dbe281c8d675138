/**
 * The configuration file's own keys as a schema: what may be written where, with every description.
 * What holds between keys is in rules*.ts; what sections of plugins may hold comes from them.
 *
 * Invariant: the shape is strict (no unknown key passes) and every key is described.
 */

import { z } from "zod";
import { parseDuration } from "../core/duration.ts";
import * as defaults from "./defaults.ts";
import {
  count,
  described,
  duration,
  flag,
  noDuration,
  number,
  oneOf,
  read,
  section,
  size,
  text,
} from "./fields.ts";
import {
  isHost,
  readAddress,
  readApplication,
  readCidr,
  readMode,
  readPorts,
  readProcessId,
  readSignal,
  Refusal,
} from "./names.ts";

const HOUR = 3_600_000;
/** Ten years: for durations that are compared, not waited for. */
const MAX_AGE = 3650 * 24 * HOUR;

const { PROXY, HEALTH, PROCESS, RESTART, MEMORY, RETENTION } = defaults;

const healthTimes = (from?: string) => {
  const facts = (key: keyof typeof HEALTH, min: number) => ({
    ...(from === undefined
      ? { default: HEALTH[key] as number }
      : { defaultFrom: `\`${from}.${key}\`` }),
    min,
  });
  return {
    timeout: duration("Longest time until the check must have succeeded.", facts("timeout", 1))
      .optional(),
    interval: duration("Pause between two attempts.", facts("interval", 10)).optional(),
    attempt_timeout: duration("Longest time one attempt may take.", facts("attempt_timeout", 1))
      .optional(),
    start_delay: duration("Wait before the first attempt.", facts("start_delay", 0)).optional(),
  };
};

const healthPath = (facts: { default?: string; defaultFrom?: string }) =>
  read(
    "path",
    (value) =>
      value.startsWith("/") ? value : new Refusal(
        `must begin with /, got ${JSON.stringify(value)}`,
        `write /${value.replace(/^\w+:\/\/[^/]*\//, "")}`,
      ),
    "Path that must answer with a status of 200 to 299. May use templates.",
    { example: "/ping", ...facts },
  ).optional();

const control = section("The socket through which commands reach the daemon.", {
  socket: text("Path of the Unix socket.", {
    defaultFrom: "`control.sock` in the runtime directory",
    example: "/run/app/control.sock",
  }).optional(),
  mode: read(
    "octal digits",
    readMode,
    "Permission bits of the socket, read as octal digits whether quoted or not: 660 is rw-rw----.",
    { default: defaults.CONTROL_MODE.toString(8), example: "660" },
  ).optional(),
  owner: text("User (name or number) that the socket is given to. Needs the right to do so.", {
    example: "deploy",
  }).optional(),
  group: text("Group (name or number) that the socket is given to.", { example: "deploy" })
    .optional(),
});

const T = PROXY.timeouts;
const L = PROXY.limits;

const proxy = section("The stable public address and how requests are forwarded.", {
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
      defaultFrom:
        `the host of \`proxy.address\`, or ${defaults.UPSTREAM_HOST} when that is every address`,
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
  access_log: text("File that gets one line for each request.", {
    defaultFrom: "none",
    example: "access.log",
  }).optional(),
});

const COMMAND = "node server.js --port {{port}}";

const command = described(
  z.union([
    text("Run by `/bin/sh -c`.", { example: COMMAND }),
    z.array(z.string()).min(1).superRefine((list, context) => {
      if (list[0]?.trim() !== "") return;
      context.addIssue({
        code: "custom",
        path: [0],
        message: "must name a program",
        params: { fix: "write the program first: [node, server.js]" },
      });
    }),
  ]),
  "text or list",
  "What to run: a text runs by `/bin/sh -c`, a list without a shell. May use templates.",
  { example: COMMAND },
);

const hook = (when: string) => text(`Command run ${when}. May use templates.`).optional();

const process = section("One program.", {
  policy: oneOf(
    ["proxied", "companion", "singleton", "service"],
    "`proxied`: gets the requests. `companion`: runs beside it, once per release. `singleton`: never twice; replaced after the switch. `service`: outlives releases.",
    { default: PROCESS.policy },
  ).optional(),
  command,
  cwd: text("Working directory; relative to the release. May use templates.", {
    default: PROCESS.cwd,
  }).optional(),
  env: described(
    z.record(
      z.string().regex(/^[^=\s\0]+$/),
      described(z.string(), "text", "Value. May use templates."),
    ),
    "map",
    "Environment variables added to the daemon's own. Numbers are taken as written.",
    { defaultFrom: "none", example: "{ NODE_ENV: production }" },
  ).optional(),
  port: read(
    "port or range",
    readPorts,
    "Port to listen on: a number, a range to choose from, or 0 for any free one. Two releases overlap during a deploy, so a range needs twice the replicas.",
    { defaultFrom: "none", example: "18182-18299" },
  ).optional(),
  replicas: count("Copies to run (companions and proxied).", {
    default: PROCESS.replicas,
    min: 1,
    max: 1000,
  }).optional(),
  health: described(
    z.union([
      z.literal(false),
      section("Health check.", {
        path: healthPath({ defaultFrom: "`proxy.health.path`" }),
        tcp: flag("Only connect to the port.", { default: false }).optional(),
        ...healthTimes("proxy.health"),
      }),
    ]),
    "map or false",
    "How the process is proven to be ready. `false`: started means ready.",
    {
      defaultFrom: "`proxy.health` for a proxied process, `false` for the others",
      example: "{ path: /ping }",
    },
  ).optional(),
  stop_signal: read("signal", readSignal, "Signal that asks the process to stop.", {
    default: PROCESS.stop_signal,
  }).optional(),
  graceful_stop: read(
    "duration or indefinite",
    (value) => {
      if (value === "indefinite") return value;
      return parseDuration(value) ?? noDuration(value);
    },
    "Time between the stop signal and SIGKILL; `indefinite`: no SIGKILL.",
    { defaultFrom: "`proxy.force_stop_timeout`", example: "30s" },
  ).optional(),
  lifecycle: section("Commands that take part in stopping, run in the process's directory.", {
    quiet_command: hook("first, to make the process take no new work"),
    drain_command: hook("next, to wait until its work is done; needs `drain_timeout`"),
    drain_timeout: duration(
      "Time for `drain_command`, or without one for the process to end by itself. 0: no wait.",
      { default: PROCESS.drain_timeout, example: "60s" },
    ).optional(),
    stop_command: hook("instead of sending the stop signal"),
  }).optional(),
  non_blocking_drain: flag(
    "Stop this companion at once when its release retires, not after the requests are done.",
    { default: PROCESS.non_blocking_drain },
  ).optional(),
  restart: section("What happens when the process ends by itself.", {
    delay: duration("Wait before the first new start.", { default: RESTART.delay }).optional(),
    max_restarts: count("Starts allowed within `window`; 0: none.", {
      min: 0,
      max: 1_000_000,
      defaultFrom: "no limit",
      example: 5,
    }).optional(),
    window: duration("Time over which starts are counted; 0: for ever.", {
      defaultFrom: `0, or ${
        defaults.RESTART_WINDOW_WHEN_LIMITED / 1000
      }s when \`max_restarts\` is given`,
      example: "60s",
      max: MAX_AGE,
    }).optional(),
    backoff_factor: number("The wait is multiplied by this each time.", {
      default: RESTART.backoff_factor,
      min: 1,
      max: 100,
    }).optional(),
    max_delay: duration("Longest wait; 0: no cap.", { default: RESTART.max_delay }).optional(),
  }).optional(),
  memory: section("Memory watch over the whole process group.", {
    limit: size("Resident memory above which the process is restarted.", {
      min: 1,
      example: "512MB",
    }),
    warn: size("Resident memory above which a warning is logged; 0: none.", {
      default: MEMORY.warn,
      example: "384MB",
    }).optional(),
    check_interval: duration("Time between two measurements.", {
      default: MEMORY.check_interval,
      min: 100,
    }).optional(),
  }).optional(),
  deploy_strategy: oneOf(
    ["persistent", "handoff"],
    "For a service: `persistent` keeps running through deploys, `handoff` is started anew with each release on a port of its own.",
    { default: PROCESS.deploy_strategy },
  ).optional(),
  user: text("User to run as, with its group and supplementary groups. Needs root.", {
    defaultFrom: "the daemon's",
    example: "app",
  }).optional(),
  depends_on: described(
    z.record(
      z.string(),
      oneOf(["started", "healthy"], "What the other process must be before this one starts."),
    ),
    "map",
    "Processes that come first: `started` or `healthy` by id.",
    { defaultFrom: "none", example: "{ beacon: healthy }" },
  ).optional(),
  output_lines: count("Lines of output kept in memory for status and errors.", {
    default: PROCESS.output_lines,
    min: 1,
    max: 100_000,
  }).optional(),
});

const processId = z.string().superRefine((value, context) => {
  const result = readProcessId(value);
  if (!(result instanceof Refusal)) return;
  context.addIssue({ code: "custom", message: result.message, params: { fix: result.fix } });
});

/** The file's own keys. */
export const fileSchema = section("Configuration of the supervisor.", {
  version: text("Version of the file format.", { default: defaults.VERSION }).optional(),
  application: read("text", readApplication, "Name of the application: part of all paths.", {
    defaultFrom: "the name of the file's directory",
    example: "ticket-server",
  }).optional(),
  state_dir: text("Directory of what must survive a restart.", {
    defaultFrom: "the place of the user, see Files",
    example: "/var/lib/app",
  }).optional(),
  include: described(
    z.union([z.string(), z.array(z.string())]),
    "text or list",
    "Files laid over this one, in order, relative to it.",
    { defaultFrom: "none", example: "local.yaml" },
  ).optional(),
  control: control.optional(),
  proxy: proxy.optional(),
  processes: described(
    z.record(processId, process),
    "map",
    "The programs to run, by id.",
  ).optional(),
  release_retention: section("How many stopped releases are remembered for rollback.", {
    keep: count("Releases remembered.", { default: RETENTION.keep, min: 0, max: 10_000 })
      .optional(),
    max_age: duration("Age after which a release is forgotten; 0: none.", {
      default: RETENTION.max_age,
      example: "720h",
      max: MAX_AGE,
    }).optional(),
  }).optional(),
  legacy_takeover: section("Processes of an earlier setup that predeploy-cleanup stops.", {
    screens: described(
      z.array(text("Name of a screen session.")),
      "list",
      "Names of screen sessions to end.",
      { defaultFrom: "none", example: "[app]" },
    ).optional(),
    processes: described(
      z.array(section("Processes found by their command line.", {
        name: text("Name for messages.", { defaultFrom: "`legacy process 1`, `2`, …" }).optional(),
        includes: described(
          z.array(text("Part of the command line.")).min(1),
          "list",
          "Texts that must all be in the command line.",
          { example: "[/home/dev/app/, server]" },
        ),
      })),
      "list of maps",
      "Processes to stop, found by their command line.",
      { defaultFrom: "none" },
    ).optional(),
    force_stop_timeout: duration("Time between SIGTERM and SIGKILL.", {
      defaultFrom: "`proxy.force_stop_timeout`",
      example: "10s",
    }).optional(),
  }).optional(),
});

/** The file as the schema leaves it: units read, defaults not yet filled in. */
export type FileValues = z.output<typeof fileSchema>;
/** One process of it. */
export type ProcessValues = NonNullable<FileValues["processes"]>[string];
/** Its proxy section. */
export type ProxyValues = NonNullable<FileValues["proxy"]>;
