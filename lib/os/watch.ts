/**
 * Tells which files of one directory changed, as it happens.
 *
 * Invariant: onChange is called at least once after every change, possibly more often, possibly with
 * the empty name (`anything may have changed`); it is never called after close(), and nothing here
 * ever throws once the watch stands. Where the kernel grants no notification (inotify limits) the
 * directory is compared every POLL_INTERVAL instead, and `mode` says so.
 */

import type { Timer } from "../core/clock.ts";
import { realClock } from "./clock.ts";

/** How often a directory without notification is compared, milliseconds. */
const POLL_INTERVAL = 200;

/**
 * The runtime keeps 16 events that were not fetched yet and drops what comes beyond without a word
 * (Deno 2.7 and 2.9). So after each so many events we say that anything may have changed: whoever
 * loses one still has 16 to fetch, and hears of it a moment after them.
 */
const SURE_OF = 8;

/** That moment, milliseconds. */
const MOMENT = 50;

/** A standing watch. */
export interface DirectoryWatch {
  /** How changes are noticed; `polling` is worth a warning. */
  readonly mode: "notified" | "polling";
  /** Ends the watch; further calls do nothing. */
  close(): void;
}

/**
 * Watches `path` (not what is below its subdirectories).
 *
 * @param onChange base name of the file that was made, written, renamed or removed; "" when the
 *   system only says that something happened. Its exceptions are its own: they surface as uncaught.
 * @throws Deno.errors.NotFound and the like when there is no such directory
 */
export function watchDirectory(path: string, onChange: (name: string) => void): DirectoryWatch {
  Deno.readDirSync(path); // a missing directory is the caller's error, not a reason to poll
  let watcher: Deno.FsWatcher;
  try {
    watcher = Deno.watchFs(path, { recursive: false });
  } catch {
    return pollDirectory(path, onChange); // fs.inotify limits; `mode` tells
  }
  return new NotifiedWatch(watcher, path, onChange);
}

class NotifiedWatch implements DirectoryWatch {
  #open = true;
  #fallback: DirectoryWatch | undefined;
  #fetched = 0;
  #look: Timer | undefined;

  constructor(
    private readonly watcher: Deno.FsWatcher,
    private readonly path: string,
    private readonly onChange: (name: string) => void,
  ) {
    this.#run();
  }

  get mode(): "notified" | "polling" {
    return this.#fallback?.mode ?? "notified";
  }

  async #run(): Promise<void> {
    const iterator = this.watcher[Symbol.asyncIterator]();
    while (this.#open) {
      let event: IteratorResult<Deno.FsEvent>;
      try {
        event = await iterator.next();
      } catch {
        break; // closed under the wait (2.7 throws BadResource then), or the kernel gave up
      }
      if (event.done) break;
      if (++this.#fetched % SURE_OF === 0) this.#look ??= realClock.timer(MOMENT, this.#lookAtAll);
      this.#tell(event.value);
    }
    if (!this.#open) return;
    this.#closeWatcher();
    this.#fallback = pollDirectory(this.path, this.onChange);
    this.onChange("");
  }

  readonly #lookAtAll = (): void => {
    this.#look = undefined;
    if (this.#open) this.onChange("");
  };

  #tell(event: Deno.FsEvent): void {
    if (event.kind === "access") return; // a writer closed the file; what it wrote was told before
    const names = new Set(event.paths.map((path) => this.#nameOf(path)));
    if (event.flag === "rescan" || names.size === 0) names.add("");
    for (const name of names) if (this.#open) this.onChange(name);
  }

  /** The base name; "" for the directory itself. */
  #nameOf(path: string): string {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return path.length <= this.path.length ? "" : name;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#look?.cancel();
    this.#fallback?.close();
    this.#closeWatcher();
  }

  #closeWatcher(): void {
    try {
      this.watcher.close();
    } catch {
      // Already closed by the runtime; closed is what we want.
    }
  }
}

/** As {@linkcode watchDirectory}, by comparing names, sizes and times. */
export function pollDirectory(path: string, onChange: (name: string) => void): DirectoryWatch {
  let open = true;
  let timer: Timer;
  let known = listing(path);
  const look = () => {
    const now = listing(path);
    timer = realClock.timer(POLL_INTERVAL, look);
    const before = known;
    known = now;
    const names = new Set([...before.keys(), ...now.keys()]);
    for (const name of names) {
      if (open && before.get(name) !== now.get(name)) onChange(name);
    }
  };
  timer = realClock.timer(POLL_INTERVAL, look);
  return {
    mode: "polling",
    close() {
      open = false;
      timer.cancel();
    },
  };
}

/** Name → what changes when the file does. Gone or unreadable reads as empty: a change, too. */
function listing(path: string): Map<string, string> {
  const files = new Map<string, string>();
  try {
    for (const { name } of Deno.readDirSync(path)) {
      try {
        const { size, mtime, ino } = Deno.lstatSync(`${path}/${name}`);
        files.set(name, `${ino} ${size} ${mtime?.getTime()}`);
      } catch {
        // Removed between the two calls: as if it had not been listed.
      }
    }
  } catch {
    // The directory is gone: everything in it is.
  }
  return files;
}
