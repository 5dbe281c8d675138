/**
 * What the configuration and the command line say about the daemon's log, together.
 *
 * | `--log-file` | `output`            | lines go to                                      |
 * | ------------ | ------------------- | ------------------------------------------------ |
 * | given        | of the section      | the file given                                   |
 * | given        | of a channel, files | those files                                      |
 * | any          | stderr, stdout      | the file given; the one of `--detach`; as it says |
 * | not given    | files               | those files                                      |
 *
 * Invariant: pure.
 */

import { channelOf } from "../../telemetry/channels.ts";
import type { LogSettings, RouteSettings } from "../../telemetry/log.ts";
import { ROTATION } from "../../telemetry/rotating_file.ts";
import type { Config } from "../config.ts";
import type { LogConfig } from "./logs.ts";
import { logsOf } from "./of.ts";

/** What the command line says. */
export interface LogPlace {
  /** Given by the user: instead of what the section says. */
  log_file?: string;
  /** What standard error and output are when nobody is at them. */
  stderr_file?: string;
}

/** The daemon's log by a configuration and a command line. */
export function logSettings(config: Config, { log_file, stderr_file }: LogPlace): LogSettings {
  const streams = log_file ?? stderr_file;
  const placed = (places: readonly string[]) =>
    places.map((place) => place === "stderr" || place === "stdout" ? streams ?? place : place);
  const logs = logsOf(config);
  if (logs === undefined) {
    return { level: "info", places: placed(["stderr"]), limits: ROTATION };
  }
  const main = log_file === undefined ? logs.output : [log_file];
  const route = ({ level, encoding, line_ending, rotation }: LogConfig, places: string[]) => ({
    level,
    places: placed(places),
    limits: { bytes: rotation.bytes ?? ROTATION.bytes, files: rotation.files ?? ROTATION.files },
    readable: encoding === "console",
    crlf: line_ending === "\r\n",
  });
  const channels = Object.entries(logs.channels).map(([name, one]): [string, RouteSettings] => [
    name,
    // One that says nothing of its own follows the section wherever that goes.
    route(one, `${one.output}` === `${logs.output}` ? main : one.output),
  ]);
  const services = config.processes.filter(({ origin }) => origin === "service");
  const ids = new Set(services.map(({ id }) => id));
  return {
    ...route(logs, main),
    channels: new Map(channels),
    channelOf: (record) => channelOf(record, ids),
  };
}
