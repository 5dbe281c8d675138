/**
 * The `logs` section of RoadRunner: the daemon's own log, and channels of it that are set apart.
 *
 * Invariant: types and schema; a value of these types came out of the schema complete, paths absolute.
 * A channel has what the section says, but for what it says itself; a mode of its own brings its level
 * and form.
 */

import * as z from "zod";
import { nearest } from "../../core/suggest.ts";
import { type Channel, CHANNELS } from "../../telemetry/channels.ts";
import { differences } from "../compare.ts";
import { LOGS } from "../defaults.ts";
import { Refusal } from "../names.ts";
import { count, described, oneOf, read, section, text } from "../schema/fields.ts";
import type { SectionPlace, SectionProblem, SectionSchema } from "../sections.ts";
import type { Path } from "../tree.ts";
import { noEffect, textOrEmpty } from "./fields.ts";

/** How a log is written. */
export interface LogConfig {
  /** production: JSON lines; development: readable; raw: as production; off: none but errors. */
  mode: "production" | "development" | "raw" | "off";
  level: "debug" | "info" | "warn" | "error";
  encoding: "json" | "console";
  line_ending: "\n" | "\r\n";
  /** `stderr`, `stdout` or absolute paths; lines go to all of them. */
  output: string[];
  /** When a file is turned over, as far as it is written. */
  rotation: { bytes?: number; files?: number };
}

/** `logs`, checked and complete. */
export interface LogsConfig extends LogConfig {
  channels: Readonly<Record<string, LogConfig>>;
}

const MB = 1024 * 1024;

function readLineEnding(value: string): LogConfig["line_ending"] | Refusal {
  if (value === "" || value === "\n") return "\n";
  if (value === "\r\n") return value;
  const got = JSON.stringify(value);
  return new Refusal(`must be "\\n" or "\\r\\n", got ${got}`, 'write "\\n" in double quotes');
}

/** What a mode brings; a channel without a mode of its own has what the section has. */
function byMode(text: string, inherited: boolean): string {
  return inherited ? `as in \`logs\`; with \`mode\` ${text}` : text;
}

/** The keys of a log. @param inherited what a channel does not say, the section does */
const keys = (inherited: boolean) => ({
  mode: oneOf(
    ["development", "production", "raw", "none", "off"],
    "`production`: JSON lines. `development`: readable lines. `raw`: as production. `none`, `off`: only errors.",
    inherited ? { defaultFrom: "as in `logs`" } : { default: LOGS.mode },
  ).optional(),
  level: oneOf(
    ["debug", "info", "warn", "warning", "error", "dpanic", "panic", "fatal"],
    "Least serious events that are logged; `panic` and `fatal` are `error`.",
    {
      defaultFrom: byMode("`debug` in development, `info` otherwise", inherited),
      example: "info",
    },
  ).optional(),
  encoding: oneOf(["console", "json"], "Form of a line.", {
    defaultFrom: byMode("`console` in development, `json` otherwise", inherited),
    example: "json",
  }).optional(),
  output: described(
    z.union([z.string(), z.array(text("`stderr`, `stdout` or a file."))]),
    "text or list",
    "`stderr`, `stdout` or the path of a file, or several of them: lines go to all.",
    inherited ? { defaultFrom: "as in `logs`", example: "access.log" } : { default: LOGS.output },
  ).optional(),
  err_output: noEffect("what the log itself cannot do is told in the log (log_lost)"),
  line_ending: read("text", readLineEnding, "How lines end, in double quotes.", {
    defaultFrom: inherited ? "as in `logs`" : '`"\\n"`',
    example: '"\\n"',
  }).optional(),
  file_logger_options: section("A log file and when it is turned over.", {
    log_output: textOrEmpty("Path of the file; instead of `output`.", { example: "log/app.log" })
      .optional(),
    max_size: count("Megabytes after which the next file begins.", {
      min: 1,
      max: 1_000_000,
      defaultFrom: inherited ? "as in `logs`" : "20 MB",
      example: 100,
    }).optional(),
    max_backups: count("Older files that are kept.", {
      min: 0,
      max: 1000,
      defaultFrom: inherited ? "as in `logs`" : "9",
      example: 9,
    }).optional(),
    max_age: noEffect("files are kept by number, not by age"),
    compress: noEffect("files are kept as they are"),
  }).optional(),
});

const one = section(
  "The log of one part of the daemon; what is not written is as in `logs`.",
  keys(true),
);

const schema = section("The daemon's own log (RoadRunner).", {
  ...keys(false),
  channels: described(
    z.record(z.string(), one),
    "map",
    `Parts of the log that are set apart: ${CHANNELS.map((name) => `\`${name}\``).join(", ")}.`,
    { defaultFrom: "none", example: "{ http: { output: access.log } }" },
  ).optional(),
});

type Values = z.output<typeof one>;

const LEVELS = {
  debug: "debug",
  info: "info",
  warn: "warn",
  warning: "warn",
  error: "error",
  dpanic: "error",
  panic: "error",
  fatal: "error",
} as const;

/** The section `logs`. */
export const logsSection: SectionSchema = {
  schema,
  roadrunner: true,
  complete(value, place): LogsConfig {
    const { channels = {}, ...values } = value as z.output<typeof schema>;
    const whole = complete({ mode: LOGS.mode, ...values }, DEFAULTS, place, []);
    return {
      ...whole,
      channels: Object.fromEntries(
        Object.entries(channels).map((
          [name, values],
        ) => [name, complete(values, whole, place, ["channels", name])]),
      ),
    };
  },
  check: (value) => check(value as LogsConfig),
  compare: (old, next) => differences("logs", old, next, () => "live"),
};

/** What is so where neither a channel nor the section says anything. */
const DEFAULTS: LogConfig = {
  mode: LOGS.mode,
  level: "debug",
  encoding: "console",
  line_ending: "\n",
  output: [LOGS.output],
  rotation: {},
};

function complete(
  { file_logger_options: file, ...values }: Values,
  preset: LogConfig,
  place: SectionPlace,
  base: Path,
): LogConfig {
  const mode = values.mode === "none" ? "off" : values.mode ?? preset.mode;
  // A mode that is written brings level and form, unless they are written, too.
  const people = mode === "development";
  const own = values.mode === undefined
    ? preset
    : { level: people ? "debug" : "info", encoding: people ? "console" : "json" } as const;
  const off = values.mode !== undefined && mode === "off";
  const absolute = (path: string, ...at: string[]) =>
    path === "stderr" || path === "stdout" ? path : place.absolute(path, [...base, ...at]);
  const places = values.output === undefined ? undefined : [values.output].flat();
  const { bytes, files } = preset.rotation;
  return {
    mode,
    level: off ? "error" : values.level === undefined ? own.level : LEVELS[values.level],
    encoding: values.encoding ?? own.encoding,
    line_ending: values.line_ending ?? preset.line_ending,
    output: file?.log_output === undefined
      ? places?.map((path) => absolute(path, "output")) ?? preset.output
      : [absolute(file.log_output, "file_logger_options", "log_output")],
    rotation: {
      bytes: file?.max_size === undefined ? bytes : file.max_size * MB,
      files: file?.max_backups === undefined ? files : file.max_backups + 1,
    },
  };
}

function check({ channels, ...main }: LogsConfig): SectionProblem[] {
  const problems: SectionProblem[] = [];
  const turned = new Map(main.output.map((path) => [path, main]));
  for (const [name, channel] of Object.entries(channels)) {
    if (!CHANNELS.includes(name as Channel)) problems.push(unknown(name));
    for (const path of channel.output) {
      const first = turned.get(path) ?? channel;
      turned.set(path, first);
      const { bytes, files } = channel.rotation;
      if (first.rotation.bytes === bytes && first.rotation.files === files) continue;
      problems.push({
        severity: "warning",
        path: ["channels", name],
        message: `logs.channels.${name}.file_logger_options has no effect for "${path}": ` +
          "the same file is named before, with other limits",
        fix: "name another file, or write the limits once",
      });
    }
  }
  return problems;
}

function unknown(name: string): SectionProblem {
  const near = nearest(name, CHANNELS);
  return {
    severity: "warning",
    path: ["channels", name],
    spot: "key",
    message: `logs.channels.${name} has no effect: no event is of that channel`,
    fix: near === undefined ? "remove it to silence this" : `did you mean "${near}"?`,
  };
}
