/**
 * A Unix socket as a file: bound under a private name, made what it shall be, then renamed into place.
 *
 * Invariants: at no moment can anybody connect who could not when it is in place (until then it lies
 * in a 0700 directory of its own); what another put at the path since is never removed.
 */

import { dirname, join } from "@std/path";
import { type Clock, within } from "../core/clock.ts";
import { Failure } from "../core/failure.ts";
import { codeOf, reasonOf } from "./reason.ts";

/** Names tried for the private directory. */
const NAME_TRIES = 20;

/** How long whoever listens at a path may take to accept a connection, milliseconds. */
const PROBE = 1_000;

/** Where a socket goes, and whose it is. */
export interface SocketPlace {
  path: string;
  /** Permission bits. */
  mode: number;
  owner?: number;
  group?: number;
}

/** How failures name the socket and what to do about it. */
export interface SocketWords {
  /** `control socket` */
  name: string;
  /** `set control.socket to another place` */
  elsewhere: string;
  /** When owner or mode cannot be set. */
  otherRights: string;
}

/** A socket in its place. */
export interface PlacedSocket<T> {
  readonly bound: T;
  /** The name it was bound under, by which the kernel lists its connections. */
  readonly boundAs: string;
  /** Removes the name, if it is still this socket's. */
  unlink(): void;
}

/**
 * Puts a socket into place; whatever lies there is replaced.
 *
 * @param bind binds it at the path it is given
 * @param undo closes what `bind` made
 * @throws Failure; nothing is left then
 */
export function placeSocket<T>(
  place: SocketPlace,
  words: SocketWords,
  bind: (path: string) => T,
  undo: (bound: T) => void,
): PlacedSocket<T> {
  const { path, mode, owner = null, group = null } = place;
  const dir = privateDir(dirname(path), words);
  const boundAs = join(dir, "s");
  const attempt = <R>(what: string, act: () => R) => attempted(place, words, what, act);
  try {
    const bound = attempt("listen", () => bind(boundAs));
    try {
      if (owner !== null || group !== null) {
        attempt("change the owner", () => Deno.chownSync(boundAs, owner, group));
      }
      attempt("set the mode", () => Deno.chmodSync(boundAs, mode));
      const id = fileId(boundAs);
      attempt("put it into place", () => Deno.renameSync(boundAs, path));
      const unlink = () => {
        if (id !== undefined && fileId(path) === id) Deno.removeSync(path);
      };
      return { bound, boundAs, unlink };
    } catch (error) {
      undo(bound);
      throw error;
    }
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

/**
 * Whether somebody accepts connections at a path. False: nothing lies there, or a socket whose owner
 * is gone.
 *
 * @throws Failure when something that is no socket lies there, or it cannot be looked at
 */
export async function socketAnswers(
  path: string,
  words: SocketWords,
  clock: Clock,
): Promise<boolean> {
  try {
    if (!Deno.lstatSync(path).isSocket) {
      throw new Failure(
        `cannot open the ${words.name} "${path}": something that is not a socket lies there`,
        { fix: `move it away, or ${words.elsewhere}` },
      );
    }
    const connecting = Deno.connect({ transport: "unix", path });
    connecting.then((connection) => connection.close(), () => {});
    await within(clock, PROBE, connecting);
    return true;
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ECONNREFUSED") return false;
    const message = `cannot look at the ${words.name} "${path}": ${reasonOf(error)}`;
    throw new Failure(message, { cause: error });
  }
}

/** A new directory that only we may enter, with a name no longer than `control.sock`. */
function privateDir(parent: string, words: SocketWords): string {
  for (let tries = 1;; tries++) {
    const dir = join(parent, `.${crypto.randomUUID().slice(0, 6)}`);
    try {
      Deno.mkdirSync(dir, { mode: 0o700 });
      return dir;
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists && tries < NAME_TRIES) continue;
      throw new Failure(
        `cannot open the ${words.name} in "${parent}": ${reasonOf(error)}`,
        { fix: `make the directory writable, or ${words.elsewhere}`, cause: error },
      );
    }
  }
}

function attempted<T>(place: SocketPlace, words: SocketWords, what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const { path, mode, owner, group } = place;
    const wanted = `mode ${mode.toString(8)}, owner ${owner ?? "-"}, group ${group ?? "-"}`;
    const denied = error instanceof Deno.errors.PermissionDenied;
    throw new Failure(
      `cannot open the ${words.name} "${path}" (${wanted}): cannot ${what}: ${reasonOf(error)}`,
      { fix: denied ? words.otherRights : words.elsewhere, cause: error },
    );
  }
}

/** What tells a file from all others; undefined when there is none. */
function fileId(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.lstatSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
