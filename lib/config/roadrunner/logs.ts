/**
 * The `logs` section of RoadRunner, as far as it means something here.
 *
 * Invariant: types and schema; a value of this type came out of the schema complete.
 */

import * as z from "zod";
import type { LogSettings } from "../../telemetry/log.ts";
import { ROTATION } from "../../telemetry/rotating_file.ts";
import { differences } from "../compare.ts";
import type { Config } from "../config.ts";
import { LOGS } from "../defaults.ts";
import { count, described, oneOf, section, text } from "../schema/fields.ts";
import type { SectionSchema } from "../sections.ts";
import { noEffect, textOrEmpty } from "./fields.ts";
import { logsOf } from "./of.ts";

/** `logs`, checked and complete. */
export interface LogsConfig {
  /** production: JSON lines; development: readable; raw: messages only; off: none but errors. */
  mode: "production" | "development" | "raw" | "off";
  level: "debug" | "info" | "warn" | "error";
  encoding: "json" | "console";
  /** `stderr`, `stdout` or absolute paths. */
  output: string[];
  /** When a file is turned over, as far as it is written. */
  rotation: { bytes?: number; files?: number };
}

const MB = 1024 * 1024;

const schema = section("The daemon's own log (RoadRunner).", {
  mode: oneOf(
    ["development", "production", "raw", "none", "off"],
    "`production`: JSON lines. `development`: readable lines. `raw`: as production. `none`, `off`: only errors.",
    { default: LOGS.mode },
  ).optional(),
  level: oneOf(
    ["debug", "info", "warn", "warning", "error", "dpanic", "panic", "fatal"],
    "Least serious events that are logged; `panic` and `fatal` are `error`.",
    { defaultFrom: "`debug` in development, `info` otherwise", example: "info" },
  ).optional(),
  encoding: oneOf(["console", "json"], "Form of a line.", {
    defaultFrom: "`console` in development, `json` otherwise",
    example: "json",
  }).optional(),
  output: described(
    z.union([z.string(), z.array(text("`stderr` or a file."))]),
    "text or list",
    "`stderr` or the path of a file; one place.",
    { default: LOGS.output },
  ).optional(),
  err_output: noEffect("errors go where the rest goes"),
  line_ending: noEffect("lines end with a newline"),
  file_logger_options: section("A log file and when it is turned over.", {
    log_output: textOrEmpty("Path of the file; instead of `output`.", { example: "log/app.log" })
      .optional(),
    max_size: count("Megabytes after which the next file begins.", {
      min: 1,
      max: 1_000_000,
      defaultFrom: "20 MB",
      example: 100,
    }).optional(),
    max_backups: count("Older files that are kept.", {
      min: 0,
      max: 1000,
      defaultFrom: "9",
      example: 9,
    }).optional(),
    max_age: noEffect("files are kept by number, not by age"),
    compress: noEffect("files are kept as they are"),
  }).optional(),
  channels: noEffect("all events are in one log"),
});

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
    const { level, encoding, output, file_logger_options: file, ...rest } = value as z.output<
      typeof schema
    >;
    const written = rest.mode ?? LOGS.mode;
    const mode = written === "none" ? "off" : written;
    const people = mode === "development";
    const places = output === undefined ? [LOGS.output] : [output].flat();
    const absolute = (path: string, at: string[]) =>
      path === "stderr" || path === "stdout" ? path : place.absolute(path, at);
    return {
      mode,
      level: mode === "off"
        ? "error"
        : level === undefined
        ? people ? "debug" : "info"
        : LEVELS[level],
      encoding: encoding ?? (people ? "console" : "json"),
      output: file?.log_output === undefined
        ? places.map((path) => absolute(path, ["output"]))
        : [absolute(file.log_output, ["file_logger_options", "log_output"])],
      rotation: {
        bytes: file?.max_size === undefined ? undefined : file.max_size * MB,
        files: file?.max_backups === undefined ? undefined : file.max_backups + 1,
      },
    };
  },
  check(value) {
    const { output } = value as LogsConfig;
    if (output.length < 2 && !output.includes("stdout")) return [];
    const used = output.find((path) => path !== "stdout") ?? "stderr";
    return [{
      severity: "warning",
      path: ["output"],
      message: `logs.output names more than one place, or stdout; the log goes to ${used} only`,
      fix: `write output: ${used}`,
    }];
  },
  compare: (old, next) => differences("logs", old, next, () => "live"),
};

/** The daemon's log by a configuration. `file`: that of the command line, which wins. */
export function logSettings(config: Config, file: string | undefined): LogSettings {
  const logs = logsOf(config);
  if (logs === undefined) return { level: "info", file, limits: ROTATION };
  const { level, encoding, output, rotation } = logs;
  const written = output.find((path) => path !== "stderr" && path !== "stdout");
  return {
    level,
    file: file ?? written,
    limits: { bytes: rotation.bytes ?? ROTATION.bytes, files: rotation.files ?? ROTATION.files },
    readable: encoding === "console",
  };
}
