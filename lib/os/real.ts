/**
 * The operating system this program runs on: one object, assembled from the small files beside it.
 *
 * Invariant: creating it does nothing to this process but read; adopting orphans is asked for, because
 * it changes whose children they are.
 */

import { realClock } from "./clock.ts";
import { children } from "./children.ts";
import { Groups, realKernel } from "./groups.ts";
import { heritage } from "./kinship.ts";
import { isAlive, readBootId, readRow } from "./proc.ts";
import { ephemeralPort, listenersOf, portState } from "./sockets.ts";
import { spawn } from "./spawn.ts";
import { spawnPiped } from "./spawn_piped.ts";
import type { Child, Machine, PidIdentity, SpawnSpec } from "./system.ts";
import { findGroup, findUser } from "./users.ts";

/** What may be chosen about the system. */
export interface RealSystemOptions {
  /**
   * Become the parent of descendants whose parents end, and reap them: nothing a program leaves behind
   * escapes then. The daemon wants it; a command that spawns nothing does not.
   */
  adoptOrphans?: boolean;
}

/**
 * This machine. Dispose of it to end its waiting and adopting; what runs goes on.
 *
 * @throws Failure when orphans cannot be adopted
 */
export function realSystem(options: RealSystemOptions = {}): Machine {
  const clock = realClock;
  const bootId = readBootId();
  const groups = new Groups(clock, bootId, realKernel(Deno.pid));
  if (options.adoptOrphans) children.adoptOrphans();

  const identify = (pid: number): PidIdentity | undefined => {
    const row = readRow(pid);
    return row && { pid, start: row.start, boot_id: bootId };
  };
  const alive = (id: PidIdentity): boolean => {
    const row = id.boot_id === bootId ? readRow(id.pid) : undefined;
    return row !== undefined && row.start === id.start && isAlive(row);
  };

  const track = <T extends Child>(child: T, { env }: SpawnSpec): T => {
    const { pid, start } = child;
    groups.track({ pid, start, environment: heritage(env) }, child.exited);
    return child;
  };

  return {
    clock,
    bootId,
    hostname: Deno.hostname(),
    self: identify(Deno.pid)!,
    rss: () => readRow(Deno.pid)?.rss_bytes ?? 0,
    spawn: (spec) => track(spawn(spec), spec),
    spawnPiped: (spec) => track(spawnPiped(spec), spec),
    group: (leader) => ({ members: groups.members(leader) }),
    groupGone: (leader, signal) => groups.gone(leader, signal),
    signalGroup: (leader, signal) => groups.signal(leader, signal),
    descendants: () => groups.descendants(),
    signal(id, signal) {
      if (!alive(id)) return false;
      try {
        Deno.kill(id.pid, signal);
        return true;
      } catch {
        return false; // ended between the two lines, or another user's: not signalled, as asked
      }
    },
    alive,
    identify,
    row: readRow,
    listeners: listenersOf,
    portState,
    ephemeralPort,
    user: findUser,
    groupId: findGroup,
    [Symbol.dispose]() {
      groups.close();
      if (options.adoptOrphans) children.disown();
    },
  };
}
