/**
 * Who is told of events besides the log and those who follow: the journal's files, and webhooks.
 *
 * Invariant: both follow the configuration live, and neither can hold up or fail anything else.
 */

import { join } from "@std/path";
import type { Config } from "../config/config.ts";
import type { Clock } from "../core/clock.ts";
import type { Emit } from "../telemetry/events.ts";
import type { Journal } from "../telemetry/journal.ts";
import { JournalStore } from "../telemetry/journal_store.ts";
import type { Reopened } from "../telemetry/log.ts";
import type { RotationLimits } from "../telemetry/rotating_file.ts";
import { Webhooks } from "../telemetry/webhooks.ts";
import type { Addressed } from "./context.ts";
import { JOURNAL, type Paths } from "./paths.ts";

/** What is told, and by whom. */
interface ToldOptions {
  config: Config;
  paths: Paths;
  clock: Clock;
  emit: Emit;
  journal: Journal;
}

/** See the file's comment. */
export class Told implements Addressed, AsyncDisposable {
  readonly #store: JournalStore;
  readonly #webhooks: Webhooks;

  constructor({ config, paths, clock, emit, journal }: ToldOptions) {
    const path = join(paths.state_dir, JOURNAL);
    this.#store = new JournalStore({ path, limits: limitsOf(config), clock, emit });
    this.#webhooks = new Webhooks(
      { clock, emit, application: config.application },
      config.webhooks,
    );
    journal.remember(this.#store);
    journal.tell(this.#store);
    journal.tell(this.#webhooks);
  }

  /** Counters of things that should not happen. */
  stats(): Record<string, number> {
    return { events_lost: this.#store.lost, ...this.#webhooks.stats() };
  }

  /** As {@linkcode Log.reopen}. */
  reopen(): Promise<Reopened[]> {
    return this.#store.reopen();
  }

  /** It listens on no address. */
  rebind(): undefined {}

  configure(next: Config): void {
    this.#store.configure(limitsOf(next));
    this.#webhooks.configure(next.webhooks);
  }

  /** The files last: they get what the webhooks had to say. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#webhooks[Symbol.asyncDispose]();
    await this.#store[Symbol.asyncDispose]();
  }
}

function limitsOf({ events }: Config): RotationLimits {
  return { bytes: events.max_size, files: events.max_files };
}
