/** A file of jobs on a clock that a test moves. */

import { assertEquals } from "@std/assert";
import { JOB_DRIVERS } from "../../../../lib/config/defaults.ts";
import type { PipelineConfig } from "../../../../lib/config/roadrunner/jobs.ts";
import type { SqliteDriver } from "../../../../plugins/jobs/sqlite/driver.ts";
import { SqliteKind } from "../../../../plugins/jobs/sqlite/recipe.ts";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { Scratch } from "../../../kit/scratch.ts";
import { type Bench, settingsOf } from "./conformance/kit.ts";

/** As the system says who we are. */
export const system = {
  identify: (pid: number) => ({ pid, start: "1", boot_id: "of-this-test" }),
};

/** See the file's comment. */
export class SqliteBench implements Bench {
  readonly clock: ManualClock;
  readonly scratch = new Scratch();
  readonly #opened: SqliteDriver[] = [];
  #kind: SqliteKind;
  file: string;

  constructor(clock = new ManualClock(), file?: string) {
    this.clock = clock;
    this.file = file ?? this.scratch.path("jobs.db");
    this.#kind = this.#life();
  }

  #life(): SqliteKind {
    return new SqliteKind({ clock: this.clock, state_dir: this.scratch.dir, system });
  }

  /** A driver that is not yet open. */
  create(pipeline = "default", more: Partial<PipelineConfig> = {}): SqliteDriver {
    const config = { file: this.file, ...JOB_DRIVERS.sqlite };
    const settings = settingsOf({ driver: "sqlite", config, ...more });
    const driver = this.#kind.create(pipeline, settings);
    this.#opened.push(driver);
    return driver;
  }

  async open(pipeline?: string, more?: Partial<PipelineConfig>): Promise<SqliteDriver> {
    const driver = this.create(pipeline, more);
    await driver.open();
    return driver;
  }

  /** Everything is closed, as a daemon that ends; the next open() is another's. */
  async restart(): Promise<void> {
    for (const driver of this.#opened.splice(0)) await driver[Symbol.asyncDispose]();
    await this.#kind[Symbol.asyncDispose]();
    this.#kind = this.#life();
  }

  async pass(ms: number): Promise<void> {
    await this.#settled();
    await this.clock.advance(ms);
    await this.#settled();
  }

  /** The thread has answered whatever was asked, and what was asked thereupon. */
  async #settled(): Promise<void> {
    for (const driver of this.#opened) {
      for (let i = 0; i < 2; i++) await driver.stat().catch(() => undefined); // it may be closed
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.restart();
    assertEquals(this.clock.pending, 0, "what is closed waits for nothing");
    assertEquals(
      [...Deno.readDirSync(this.scratch.dir)].filter(({ name }) => name.endsWith(".lock")),
      [],
      "what is closed locks nothing",
    );
    this.scratch[Symbol.dispose]();
  }
}
