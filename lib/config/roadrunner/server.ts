/**
 * The `server` section of RoadRunner: how workers are started when a pool says nothing else.
 *
 * Invariant: types and schema; a value of these types came out of the schema complete.
 */

import type { Config } from "../config.ts";
import type * as z from "zod";
import { ON_INIT, SERVER } from "../defaults.ts";
import { Refusal } from "../names.ts";
import { duration, flag, read, section } from "../schema/fields.ts";
import type { SectionSchema } from "../sections.ts";
import { absoluteDsn, command, environment, noEffect, readDsn, textOrEmpty } from "./fields.ts";

/** `server`, checked and complete. Milliseconds. */
export interface ServerConfig {
  /** A string is split into words with quotes understood, no shell. Templated. */
  command?: string | string[];
  /** `pipes`, `tcp://host:port`, `unix://path`. */
  relay: string;
  user?: string;
  group?: string;
  /** Names upper-cased, as RoadRunner does. Values templated. */
  env: Record<string, string>;
  on_init?: OnInitConfig;
}

/** `server.on_init` */
export interface OnInitConfig {
  command: string | string[];
  exec_timeout: number;
  env: Record<string, string>;
  user?: string;
  exit_on_error: boolean;
}

const COMMAND = "php worker.php";

const schema = section("How workers are started (RoadRunner).", {
  command: command(
    "What a worker runs: a text is split into words (quotes are understood, there is no shell). May use templates. Runs in the release path.",
    { defaultFrom: "every pool needs its own then", example: COMMAND },
  ).optional(),
  relay: read(
    "relay",
    (value) => value === "pipes" ? value : relayOf(value),
    "How frames reach workers: `pipes` (their standard input and output), `tcp://host:port`, `unix://path`.",
    { default: SERVER.relay },
  ).optional(),
  relay_timeout: noEffect("RoadRunner does not use it either; the pool's allocate_timeout counts"),
  user: textOrEmpty(
    "User to run workers as, with its group and supplementary groups. Needs root.",
    {
      defaultFrom: "the daemon's",
      example: "www-data",
    },
  ).optional(),
  group: textOrEmpty("Group to run workers as, instead of the user's own.", {
    defaultFrom: "the user's",
    example: "www-data",
  }).optional(),
  env: environment(
    "Environment variables of workers. Names are upper-cased; values may use templates.",
  ).optional(),
  on_init: section("A command that runs once per release, before its first worker.", {
    command: command("What to run, split as `server.command`. May use templates.", {
      example: "php artisan migrate",
    }),
    exec_timeout: duration("Longest time it may take, then it is killed.", {
      default: ON_INIT.exec_timeout,
      min: 1,
    }).optional(),
    env: environment("Environment variables of the command.").optional(),
    user: textOrEmpty("User to run it as. Needs root.", {
      defaultFrom: "the daemon's",
      example: "www-data",
    }).optional(),
    exit_on_error: flag("A failure of the command is a failure of the start or the deploy.", {
      default: ON_INIT.exit_on_error,
    }).optional(),
  }).optional(),
});

function relayOf(value: string): string | Refusal {
  const dsn = readDsn(value);
  if (!(dsn instanceof Refusal)) return dsn;
  const what = `must be pipes, tcp://host:port or unix://path, got ${JSON.stringify(value)}`;
  return new Refusal(what, "write pipes, or e.g. unix:///run/app/relay.sock");
}

/** The section `server`. */
export const serverSection: SectionSchema = {
  schema,
  roadrunner: true,
  complete(value, place): ServerConfig {
    const { on_init, command, relay, user, group, env } = value as z.output<typeof schema>;
    const dsn = relay ?? SERVER.relay;
    return {
      command,
      relay: absoluteDsn(dsn, (path) => place.absolute(path, ["relay"])),
      user,
      group,
      env: env ?? {},
      on_init: on_init?.command === undefined
        ? undefined
        : { ...ON_INIT, env: {}, ...on_init, command: on_init.command },
    };
  },
};

/** `server` of a configuration; its defaults when every pool has a command of its own. */
export function serverOf(config: Pick<Config, "sections">): ServerConfig {
  return config.sections.server as ServerConfig | undefined ?? { relay: SERVER.relay, env: {} };
}
