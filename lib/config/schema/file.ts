/**
 * The configuration file's own keys as a schema: what may be written where, with every description.
 * What holds between keys is in ../rules; what sections of plugins may hold comes from them.
 *
 * Invariant: the shape is strict (no unknown key passes) and every key is described.
 */

import * as z from "zod";
import { MAX_AGE, RETENTION, VERSION } from "../defaults.ts";
import { readApplication } from "../names.ts";
import { count, described, duration, read, section, text } from "./fields.ts";
import { process, processId } from "./process.ts";
import { control, proxy } from "./proxy.ts";
import { events, webhooks } from "./telling.ts";

/** The file's own keys. */
export const fileSchema = section("Configuration of the supervisor.", {
  version: text("Version of the file format.", { default: VERSION }).optional(),
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
  events: events.optional(),
  webhooks: webhooks.optional(),
  legacy_takeover: section("Processes of an earlier setup that predeploy-cleanup stops.", {
    screens: described(
      z.array(text("Name of a screen session.")),
      "list",
      "Names of screen sessions to end.",
      { defaultFrom: "none", example: "[app]" },
    ).optional(),
    supervisord: described(
      z.array(text("Name of a program of supervisord.")),
      "list",
      "Programs to stop with `supervisorctl stop`.",
      { defaultFrom: "none", example: "[app]" },
    ).optional(),
    pm2: described(
      z.array(text("Name of an app of PM2.")),
      "list",
      "Apps to take out of PM2 with `pm2 delete`.",
      { defaultFrom: "none", example: "[app]" },
    ).optional(),
    processes: described(
      z.array(section("Processes found by their command line.", {
        name: text("Name for messages.", {
          defaultFrom: "`legacy process 1`, `2`, …",
          example: "old web",
        }).optional(),
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
