/**
 * Which daemon a command means: by --socket, or by the three keys of a configuration file that say
 * where a daemon lives.
 *
 * Invariant: nothing else in the file can stop a command that only talks to a daemon.
 */

import { resolve } from "@std/path";
import type { ControlIdentity } from "../config/config.ts";
import { Exit, Failure } from "../core/failure.ts";
import type { Paths } from "../daemon/paths.ts";
import type { Values } from "./command.ts";

/** Where the configuration comes from, paths absolute. */
export interface ConfigRequest {
  file: string;
  env: Record<string, string>;
  overrides: string[];
  dotenv?: string;
}

/** Where a daemon is. With --socket only the socket is known. */
export interface Place {
  socket: string;
  home?: { request: ConfigRequest; identity: ControlIdentity; paths: Paths };
}

/** The configuration that --config, -o and --dotenv name. @throws Failure when there is none */
export async function configRequest(
  values: Values,
  cwd: string,
  env: Record<string, string>,
): Promise<ConfigRequest> {
  const { findConfig } = await import("../config/file.ts");
  const given = values.text("config");
  const dotenv = values.text("dotenv");
  return {
    file: given === undefined ? findConfig(cwd) : resolve(cwd, given),
    env,
    overrides: values.list("override"),
    dotenv: dotenv === undefined ? undefined : resolve(cwd, dotenv),
  };
}

/** The daemon that is meant. @throws Failure */
export async function placeOf(
  values: Values,
  cwd: string,
  env: Record<string, string>,
): Promise<Place> {
  const socket = values.text("socket");
  if (socket !== undefined) return { socket: resolve(cwd, socket) };
  const request = await configRequest(values, cwd, env);
  const { readIdentity } = await import("../config/identity.ts");
  const { pathsOf } = await import("../daemon/paths.ts");
  const identity = await readIdentity(request);
  const paths = pathsOf(identity, env, Deno.uid() ?? 0);
  return { socket: paths.socket, home: { request, identity, paths } };
}

/**
 * The places of a daemon, by its configuration.
 * @param purpose what its configuration is needed for
 * @throws Failure when only its socket is known
 */
export function homeOf(place: Place, purpose = "to start one"): NonNullable<Place["home"]> {
  if (place.home !== undefined) return place.home;
  throw new Failure(`--socket names a running daemon; ${purpose} its configuration is needed`, {
    exit: Exit.usage,
    fix: "leave --socket out, or move the socket with -o control.socket=PATH",
  });
}
