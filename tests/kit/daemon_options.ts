/**
 * What a daemon under test is started with, and the configuration file that comes of it.
 *
 * Invariant: nothing of a daemon under test lies outside its scratch directory.
 */

import { join } from "@std/path";
import { stringify } from "@std/yaml";
import type { Yaml } from "./programs.ts";

/** Where a daemon under test lives. */
export interface Place {
  dir: string;
  /** Port of `proxy.address`. */
  port: number;
  /** Control socket. */
  socket: string;
}

/**
 * A configuration. An object gets `version`, `application`, `state_dir`, `control.socket`, and
 * `proxy.address` when it has a `proxy`, unless it says otherwise. Text is taken as it is.
 */
export type Configuration = Yaml | string;

/** What to start. */
export interface DaemonOptions {
  config: Configuration | ((place: Place) => Configuration);
  /** Another command line than the program under test. */
  program?: string[];
  /** More files of the scratch directory. */
  files?: Record<string, string>;
  /** Added to the environment of every command and daemon. */
  env?: Record<string, string>;
  /** Added to `serve`. */
  args?: string[];
  /** False: prepare everything, start nothing; the test calls start() or cli("serve", …) itself. */
  start?: boolean;
  /** The test leaves programs behind on purpose; they are killed without a word. */
  leftovers?: boolean;
}

/** The text of the configuration file. */
export function configurationText(config: DaemonOptions["config"], place: Place): string {
  const given = typeof config === "function" ? config(place) : config;
  return typeof given === "string" ? given : stringify(complete(given, place), { lineWidth: -1 });
}

function complete(config: Yaml, place: Place): Yaml {
  const whole: Yaml = {
    version: "3",
    application: "app",
    state_dir: join(place.dir, "state"),
    ...config,
    control: { socket: place.socket, ...(config.control as Yaml | undefined) },
  };
  if (config.proxy !== undefined) {
    whole.proxy = { address: `127.0.0.1:${place.port}`, ...(config.proxy as Yaml) };
  }
  return whole;
}
