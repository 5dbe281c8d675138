/**
 * The `service` section of RoadRunner: programs beside the workers. They become processes of ours.
 *
 * | RoadRunner          | here                                                                |
 * | ------------------- | ------------------------------------------------------------------- |
 * | `process_num`       | `replicas`                                                          |
 * | `remain_after_exit` | true: started again after `restart_sec`, however it ended; false: not |
 * | `timeout_stop_sec`  | SIGINT, and SIGKILL after it                                        |
 * | working directory   | the release                                                         |
 * | `exec_timeout`      | nothing (a warning)                                                 |
 *
 * Invariant: types, schema and the mapping; a value of this type came out of the schema complete.
 */

import * as z from "zod";
import { splitWords } from "../../core/words.ts";
import type { ProcessConfig } from "../config.ts";
import { PROCESS, SERVICE } from "../defaults.ts";
import { count, described, duration, flag, section } from "../schema/fields.ts";
import { processId } from "../schema/process.ts";
import type { SectionProblem, SectionSchema } from "../sections.ts";
import { command, environment, seconds, textOrEmpty } from "./fields.ts";

/** One service, checked and complete. Milliseconds. */
export interface ServiceConfig {
  command: string | string[];
  process_num: number;
  exec_timeout: number;
  /** True: started again when it ends, however it ended (the name says the opposite). */
  remain_after_exit: boolean;
  restart_sec: number;
  timeout_stop_sec: number;
  env: Record<string, string>;
  user?: string;
  service_name_in_log: boolean;
}

const MAX_COPIES = 1000;

const service = section("One program.", {
  command: command(
    "What to run: a text is split into words (quotes are understood, there is no shell). May use templates. Runs in the release path.",
    { example: "php consumer.php" },
  ),
  process_num: count("Copies to run.", {
    default: SERVICE.process_num,
    min: 1,
    max: MAX_COPIES,
  }).optional(),
  exec_timeout: duration("No limit on the run time of a service is kept; 0 is the only use.", {
    default: SERVICE.exec_timeout,
  }).optional(),
  remain_after_exit: flag(
    "Start it again when it ends by itself, with any exit code. (RoadRunner's name and default.)",
    { default: SERVICE.remain_after_exit },
  ).optional(),
  restart_sec: seconds("Wait before it is started again: seconds, or a duration.", {
    default: SERVICE.restart_sec,
  }).optional(),
  timeout_stop_sec: seconds("Time between SIGINT and SIGKILL: seconds, or a duration.", {
    default: SERVICE.timeout_stop_sec,
  }).optional(),
  env: environment(
    "Environment variables added to the daemon's own. Names are upper-cased; values may use templates.",
  ).optional(),
  user: textOrEmpty("User to run as, with its group and supplementary groups. Needs root.", {
    defaultFrom: "the daemon's",
    example: "www-data",
  }).optional(),
  service_name_in_log: flag("Every line of output has the name of its service anyway.", {
    default: SERVICE.service_name_in_log,
  }).optional(),
});

const schema = described(
  z.record(processId, service),
  "map",
  "Programs beside the workers, by name (RoadRunner). Each becomes a companion process.",
);

type Services = Record<string, ServiceConfig>;

/** The section `service`. */
export const serviceSection: SectionSchema = {
  schema,
  roadrunner: true,
  complete(value): Services {
    const entries = Object.entries(value as z.output<typeof schema>);
    return Object.fromEntries(
      entries.flatMap(([name, { command, ...rest }]) =>
        command === undefined ? [] : [[name, { ...SERVICE, env: {}, ...rest, command }]]
      ),
    );
  },
  check(value) {
    return Object.entries(value as Services).flatMap(
      ([name, { exec_timeout }]): SectionProblem[] => {
        if (exec_timeout === 0) return [];
        const message = `service.${name}.exec_timeout has no effect: services run until they end`;
        const fix = "remove it, or run the command under timeout(1)";
        return [{ severity: "warning", path: [name, "exec_timeout"], spot: "key", message, fix }];
      },
    );
  },
  // Each of them is a process, and compared as one.
  compare: () => [],
};

/** The processes that services become. */
export function servicesAsProcesses(services: Readonly<Services>): ProcessConfig[] {
  return Object.entries(services).map(([id, service]): ProcessConfig => ({
    id,
    origin: "service",
    policy: "companion",
    command: argvOf(service.command),
    cwd: PROCESS.cwd,
    env: service.env,
    replicas: service.process_num,
    health: { kind: "none" },
    stop_signal: "SIGINT",
    graceful_stop: service.timeout_stop_sec,
    lifecycle: { drain_timeout: PROCESS.drain_timeout },
    non_blocking_drain: PROCESS.non_blocking_drain,
    restart: {
      delay: service.restart_sec,
      max_restarts: service.remain_after_exit ? undefined : 0,
      window: 0,
      backoff_factor: 1,
      max_delay: 0,
    },
    deploy_strategy: PROCESS.deploy_strategy,
    user: service.user,
    depends_on: {},
    output_lines: PROCESS.output_lines,
  }));
}

/** The schema has checked that it can be split. */
function argvOf(command: string | string[]): string[] {
  return typeof command === "string" ? splitWords(command) as string[] : command;
}
