/**
 * Jobs in a file of SQLite: the durable driver that needs nothing beside the daemon.
 *
 * Invariant: a file is open once, however many pipelines lie in it, and until the last of them is
 * closed; one that is being closed is not opened before it is.
 */

import { join } from "@std/path";
import type { PipelineConfig, SqliteConfig } from "../../../lib/config/roadrunner/jobs.ts";
import type { DriverHost, DriverKind, DriverRecipe } from "../driver.ts";
import { check } from "./check.ts";
import { Claim, type Identifies, placeOf } from "./claim.ts";
import { CAN, type Lease, SqliteDriver } from "./driver.ts";
import { JobsFile } from "./file.ts";

/** The driver `sqlite`. */
export const sqlite: DriverRecipe = {
  name: "sqlite",
  can: CAN,
  kind: (host) => new SqliteKind(host),
  check: async ({ config }) => {
    const { file } = config as SqliteConfig;
    // The state directory is made by the daemon, and has its own check.
    if (file !== undefined) await check(file);
  },
};

/** What it needs of the outside. */
export interface SqliteHost extends Pick<DriverHost, "clock" | "state_dir"> {
  readonly system: Identifies;
}

/** A file and how many use it. */
interface Shared {
  file: Promise<JobsFile>;
  users: number;
}

/** The file of a pipeline, as configured. */
function fileOf({ config }: PipelineConfig, { state_dir }: Pick<DriverHost, "state_dir">): string {
  return (config as SqliteConfig).file ?? join(state_dir, "jobs.db");
}

/** See the file's comment. */
export class SqliteKind implements DriverKind {
  readonly #host: SqliteHost;
  /** By their places. */
  readonly #files = new Map<string, Shared>();
  readonly #closing = new Map<string, Promise<void>>();

  constructor(host: SqliteHost) {
    this.#host = host;
  }

  create(pipeline: string, settings: PipelineConfig): SqliteDriver {
    const { permissions } = settings.config as SqliteConfig;
    const file = fileOf(settings, this.#host);
    return new SqliteDriver(
      pipeline,
      settings,
      this.#host.clock,
      () => this.#lease(file, permissions),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#closing.values());
  }

  /** @throws Failure */
  async #lease(named: string, permissions: number): Promise<Lease> {
    const place = placeOf(named);
    let shared = this.#files.get(place);
    if (shared === undefined) {
      shared = { file: this.#open(place, permissions), users: 0 };
      this.#files.set(place, shared);
    }
    shared.users++;
    try {
      const file = await shared.file;
      return { file, [Symbol.asyncDispose]: () => this.#leave(place, shared) };
    } catch (error) {
      if (this.#files.get(place) === shared) this.#files.delete(place);
      throw error;
    }
  }

  async #open(place: string, permissions: number): Promise<JobsFile> {
    await this.#closing.get(place);
    const claim = Claim.make(place, permissions, this.#host.system);
    try {
      return await JobsFile.open(claim, this.#host.clock);
    } catch (error) {
      claim[Symbol.dispose]();
      throw error;
    }
  }

  async #leave(place: string, shared: Shared): Promise<void> {
    if (--shared.users > 0) return;
    this.#files.delete(place);
    const file = await shared.file;
    const closing = file.close();
    this.#closing.set(place, closing);
    await closing;
    if (this.#closing.get(place) === closing) this.#closing.delete(place);
  }
}
