/**
 * Whom a process runs as.
 *
 * Invariant: a user that cannot be looked up is told together with the process that wants it.
 */

import type { Config, ProcessConfig } from "../config/config.ts";
import { serverOf } from "../config/roadrunner/of.ts";
import { Failure } from "../core/failure.ts";
import type { Identity, System } from "../os/system.ts";

/** The user of a process; undefined: ours. @throws Failure naming process and user */
export function identityOf(
  { id, user }: ProcessConfig,
  system: Pick<System, "user">,
): Identity | undefined {
  return userNamed(user, id, system);
}

/**
 * The user of all workers, `server.user` with `server.group`; undefined: ours.
 * @param pool who wants to run so
 * @throws Failure naming pool and user
 */
export function workerIdentity(
  config: Config,
  pool: string,
  system: Pick<System, "user">,
): Identity | undefined {
  return userNamed(workerUser(config), pool, system);
}

/** Who workers run as: a name, a number or `user:group`; undefined: the daemon's user. */
export function workerUser(config: Config): string | undefined {
  const { user, group } = serverOf(config);
  return group === undefined ? user : `${user ?? Deno.uid()}:${group}`;
}

/** A user by name, number or `user:group`. `id`: who wants to run so. @throws Failure */
export function userNamed(
  user: string | undefined,
  id: string,
  system: Pick<System, "user">,
): Identity | undefined {
  if (user === undefined) return undefined;
  try {
    return system.user(user);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { message, fix, exit } = error;
    const why = `process "${id}" cannot run as user "${user}": ${message}`;
    throw new Failure(why, { fix, exit, cause: error });
  }
}
