/**
 * A daemon without sockets and signals: its operations over the release floor of a test.
 *
 * Only what the operations under test ask of a part is there; anything else would throw.
 */

import { compare } from "../../../lib/config/mod.ts";
import type { Config, ProcessConfig } from "../../../lib/config/config.ts";
import type { Operations } from "../../../lib/control/operations.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { Context } from "../../../lib/daemon/context.ts";
import { restoration } from "../../../lib/daemon/first_release.ts";
import { operations } from "../../../lib/daemon/operations.ts";
import { Turn } from "../../../lib/daemon/turn.ts";
import type { PidIdentity, ProcRow } from "../../../lib/os/system.ts";
import type { Rebinding } from "../../../lib/release/intake.ts";
import { configOf } from "../release/configs.ts";
import { Stage } from "../release/stage.ts";

/** The proxy as transitions see it: one address that is bound, taken or let go. */
export class FakeProxy {
  readonly log: string[] = [];
  readonly front = undefined;
  /** Set to let the next address be refused. */
  refuses: string | undefined;
  configured: Config | undefined;
  #address: string;

  constructor(config: Config, readonly gate: { held: number }) {
    this.#address = addressOf(config);
  }

  rebind(next: Config): Rebinding | undefined {
    const address = addressOf(next);
    if (address === this.#address) return undefined;
    if (this.refuses !== undefined) throw new Failure(this.refuses);
    this.log.push(`bound ${address}`);
    return {
      commit: () => {
        this.log.push(`took ${address}`);
        this.#address = address;
      },
      undo: () => void this.log.push(`let go ${address}`),
    };
  }

  configure(config: Config): void {
    this.configured = config;
  }
}

function addressOf({ proxy }: Config): string {
  return proxy === undefined ? "" : `${proxy.address.host}:${proxy.address.port}`;
}

/** A daemon in a test. */
export class Daemon implements Disposable {
  readonly stage: Stage;
  readonly context: Context;
  readonly proxy: FakeProxy;
  readonly operations: Operations;
  /** What the configuration file says now; a Failure: it is broken. */
  file: Config | Failure;
  /** Processes that came back to us as their reaper. */
  strays: ProcRow[] = [];
  readonly killed: number[] = [];
  ended: string | undefined;

  constructor(config: Config | ProcessConfig[], past?: Daemon) {
    const whole = Array.isArray(config) ? configOf(config) : config;
    this.stage = new Stage(whole, past?.stage);
    const { fleet, ground, clock, system, scratch } = this.stage;
    this.file = whole;
    this.proxy = new FakeProxy(whole, this.stage.intake.gate);
    const machine = Object.assign(Object.create(system), {
      descendants: () => this.strays,
      signal: ({ pid }: PidIdentity) => this.killed.push(pid) > 0,
    });
    const read = () =>
      this.file instanceof Failure ? Promise.reject(this.file) : Promise.resolve(this.file);
    const parts = {
      machine,
      clock,
      emit: ground.emit,
      fleet,
      proxy: this.proxy,
      addresses: () => [this.proxy],
      turn: new Turn(clock),
      read,
      restore: restoration({ clock, emit: ground.emit }, () => this.context),
      paths: { state_dir: scratch.dir, log_dir: scratch.dir, socket: scratch.path("socket") },
      started: { wall: clock.wall(), now: clock.now() },
      counters: () => ({}),
      hurried: undefined,
      state: "running",
      config: whole,
    };
    // deno-lint-ignore no-explicit-any -- a part of a context, see the file's comment
    this.context = parts as any;
    this.operations = operations(this.context, (why) => {
      this.ended = why;
      return Promise.resolve();
    });
  }

  /** How the file differs from what is in force. */
  get difference(): string[] {
    if (this.file instanceof Failure) throw this.file;
    return compare(this.context.config, this.file).map(({ field, effect }) => `${field} ${effect}`);
  }

  /** Deploys and lets time pass until it is live. */
  deploy(id: string, more: { wait?: boolean; revision?: string } = {}) {
    const release_path = this.stage.release(id);
    return this.pass(() =>
      this.operations.deploy(
        { release_path, release_id: id, ...more },
        () => {},
        this.stage.end.signal,
      )
    );
  }

  /** Runs an operation and lets time pass until it is done. */
  pass<T>(run: () => T | Promise<T>): Promise<T> {
    return this.stage.pass((async () => await run())());
  }

  [Symbol.dispose](): void {
    this.stage[Symbol.dispose]();
  }
}
