/**
 * One entry of `processes`.
 *
 * Invariant: everything about a program that can be written is here; what depends on its policy is
 * in ../rules/process.ts.
 */

import * as z from "zod";
import { parseDuration } from "../../core/duration.ts";
import { MAX_AGE, MEMORY, PROCESS, RESTART, RESTART_WINDOW_WHEN_LIMITED } from "../defaults.ts";
import { readPorts, readProcessId, readSignal, Refusal } from "../names.ts";
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
  wordList,
} from "./fields.ts";
import { healthPath, healthTimes } from "./health.ts";

const COMMAND = "node server.js --port {{port}}";

const command = described(
  z.union([
    text("Run by `/bin/sh -c`.", { example: COMMAND }),
    wordList(),
  ]),
  "text or list",
  "What to run: a text runs by `/bin/sh -c`, a list without a shell. May use templates.",
  { example: COMMAND },
);

const hook = (when: string, example: string) =>
  text(`Command run ${when}. May use templates.`, { example }).optional();

/** One process. */
export const process = section("One program.", {
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
    quiet_command: hook("first, to make the process take no new work", "bin/quiet"),
    drain_command: hook(
      "next, to wait until its work is done; needs `drain_timeout`",
      "bin/wait_until_idle",
    ),
    drain_timeout: duration(
      "Time for `drain_command`, or without one for the process to end by itself. 0: no wait.",
      { default: PROCESS.drain_timeout, example: "60s" },
    ).optional(),
    stop_command: hook("instead of sending the stop signal", "bin/stop"),
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
      defaultFrom: `0, or ${RESTART_WINDOW_WHEN_LIMITED / 1000}s when \`max_restarts\` is given`,
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

/** Its id. */
export const processId = z.string().superRefine((value, context) => {
  const result = readProcessId(value);
  if (!(result instanceof Refusal)) return;
  context.addIssue({ code: "custom", message: result.message, params: { fix: result.fix } });
});
