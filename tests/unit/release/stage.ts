/**
 * A daemon's release floor on a fake system: releases, intakes, ports, book and history, with a clock
 * moved by hand. Only the state files and release directories are real.
 */

import type { WorkerPool } from "../../../lib/pool/contract.ts";
import type { Config, ProcessConfig } from "../../../lib/config/config.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { type Draining, Gate } from "../../../lib/core/gate.ts";
import { deploy, type Deployed, type Order } from "../../../lib/release/deploy.ts";
import { Fleet } from "../../../lib/release/fleet.ts";
import type { Ground } from "../../../lib/release/ground.ts";
import { History, type Remembered } from "../../../lib/release/history.ts";
import type {
  Drained,
  Intake,
  IntakeSnapshot,
  ReleaseContext,
} from "../../../lib/release/intake.ts";
import { Orphans } from "../../../lib/release/orphans.ts";
import { PidBook, type PidEntry } from "../../../lib/release/pid_book.ts";
import type { PidIdentity, System } from "../../../lib/os/system.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import { PortTable } from "../../../lib/release/ports.ts";
import { Standing } from "../../../lib/release/standing.ts";
import { type FakeChild, FakeSystem } from "../../kit/fake_system.ts";
import { ManualClock, turn } from "../../kit/manual_clock.ts";
import { Scratch } from "../../kit/scratch.ts";
import { World } from "../process/world.ts";
import { configOf } from "./configs.ts";

/** Moves of the clock before a wait counts as endless. */
const MOVES = 10_000;

/** What the fake intake builds. */
export interface Generation {
  release: string;
  dropped: boolean;
}

/** An intake that takes nothing in: a gate, and what was built for it. */
export class FakeIntake implements Intake<Generation> {
  readonly gate: Gate<Generation>;
  readonly built: Generation[] = [];
  wasCut = false;
  /** Set to let the next build fail, or wait. */
  onBuild: (signal: AbortSignal) => void | Promise<void> = () => {};

  constructor(clock: ManualClock, readonly name = "fake") {
    this.gate = new Gate(clock);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async build(release: ReleaseContext, signal: AbortSignal): Promise<Generation> {
    await this.onBuild(signal);
    const generation = { release: release.release_id, dropped: false };
    this.built.push(generation);
    return generation;
  }

  swap(next: Generation | undefined): Draining {
    return this.gate.swap(next);
  }

  drop(generation: Generation): Promise<void> {
    if (generation.dropped) throw new Error(`${generation.release} was dropped twice`);
    generation.dropped = true;
    return Promise.resolve();
  }

  rebind(): undefined {}

  configure(): void {}

  drain(): Promise<Drained> {
    return Promise.resolve({ cut: 0 });
  }

  cut(): void {
    this.wasCut = true;
  }

  /** As the proxy's: what the configuration in force says. */
  drainBudget: () => number = () => 0;

  /** None, unless a test says which. */
  pools: (generation: Generation) => readonly WorkerPool[] = () => [];

  snapshot(): IntakeSnapshot {
    return { name: this.name, address: "", state: "open" };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** What a daemon does to the world; nothing any more once it was killed. */
class Hands {
  dead = false;

  constructor(readonly system: FakeSystem) {}

  /** The system as this daemon has it. */
  get held(): System {
    const { system } = this;
    return {
      clock: system.clock,
      bootId: system.bootId,
      spawn: (spec) => {
        if (this.dead) throw new Failure("killed");
        return system.spawn(spec);
      },
      spawnPiped: () => system.spawnPiped(),
      signalGroup: (leader, signal) => !this.dead && system.signalGroup(leader, signal),
      group: (leader) => system.group(leader),
      groupGone: (leader, signal) => system.groupGone(leader, signal),
      alive: (id) => system.alive(id),
      identify: (pid) => system.identify(pid),
      row: (pid) => system.row(pid),
      listeners: (port) => system.listeners(port),
      user: (name) => system.user(name),
    };
  }
}

/** The book of a daemon that can be killed. */
class HeldBook extends PidBook {
  constructor(file: string, emit: Emit, readonly hands: Hands) {
    super(file, emit);
  }

  override putAll(entries: readonly PidEntry[]): void {
    if (!this.hands.dead) super.putAll(entries);
  }

  override remove(id: PidIdentity): void {
    if (!this.hands.dead) super.remove(id);
  }
}

/** A history whose writes are done at once, so that no test waits for a disk. */
class QuickHistory extends History {
  /** Set to let writes fail. */
  broken = false;
  writes = 0;

  constructor(file: string, application: string, readonly hands: Hands) {
    super(file, application);
  }

  override write(remembered: Remembered): Promise<void> {
    if (this.hands.dead) return Promise.resolve();
    if (this.broken) return Promise.reject(new Failure("cannot write: no space left on device"));
    this.writes++;
    const content = { format: 1, application: this.application, ...remembered };
    Deno.writeTextFileSync(this.file, JSON.stringify(content));
    return Promise.resolve();
  }
}

/** Everything of one test. */
export class Stage implements Disposable {
  readonly scratch = new Scratch();
  readonly clock: ManualClock;
  readonly system: FakeSystem;
  readonly world: World<System>;
  readonly hands: Hands;
  readonly ports: PortTable;
  readonly intake: FakeIntake;
  readonly other: FakeIntake;
  /** Ports that programs of others listen on. */
  readonly strangers = new Set<number>();
  readonly steps: string[] = [];
  readonly end = new AbortController();
  readonly ground: Ground;
  readonly fleet: Fleet;
  readonly history: QuickHistory;
  #ephemeral = 40_000;

  /** `past`: the stage of a daemon that died; its files and programs are there. */
  constructor(config: Config | ProcessConfig[], past?: Stage) {
    this.clock = past?.clock ?? new ManualClock();
    this.system = past?.system ?? new FakeSystem(this.clock);
    if (past !== undefined) {
      this.scratch = past.scratch;
      // Its programs run on.
      past.hands.dead = true;
      past.world.end.abort(new Error("killed"));
    }
    this.hands = new Hands(this.system);
    const system = this.hands.held;
    this.world = new World(system);
    this.intake = new FakeIntake(this.clock);

    this.other = new FakeIntake(this.clock, "other");
    for (const intake of [this.intake, this.other]) {
      intake.drainBudget = () => this.fleet.config.proxy?.drain_timeout ?? 0;
    }
    this.ports = new PortTable(
      (_, port) => this.#listening(port) ? "in_use" : "free",
      () => this.#ephemeral++,
    );
    const file = this.scratch.path("processes.json");
    const { host, output } = this.world;
    const book = new HeldBook(file, host.emit, this.hands);
    this.ground = {
      system,
      clock: this.clock,
      emit: host.emit,
      output,
      memory: host.memory,
      ports: this.ports,
      book,
      orphans: new Orphans(PidBook.read(file), system, book, host.emit, 5_000),
      env: { PATH: "/usr/bin:/bin", HOME: "/root" },
      signal: this.world.end.signal,
    };
    const whole = Array.isArray(config) ? configOf(config) : config;
    const history = new QuickHistory(
      this.scratch.path("state.json"),
      whole.application,
      this.hands,
    );
    this.history = history;
    this.fleet = new Fleet(
      this.ground,
      [this.intake, this.other],
      new Standing(this.ground),
      history,
      history.read(),
      whole,
    );
  }

  /** A release directory. */
  release(name: string): string {
    const path = this.scratch.path(name);
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  /** Begins a deploy of `name`; nothing happens to the clock. */
  order(name: string, more: Partial<Order> = {}): Promise<Deployed> {
    const config = more.config ?? this.fleet.config;
    const order: Order = {
      kind: "deploy",
      release_path: this.release(name),
      release_id: name,
      config,
      adopt: () => this.fleet.config = config,
      ...more,
    };
    const tell = (step: string, message: string) => void this.steps.push(`${step}: ${message}`);
    const deployed = deploy(this.fleet, order, tell, this.end.signal);
    deployed.catch(() => {});
    return deployed;
  }

  /** Deploys and lets time pass until it is live. */
  deploy(name: string, more: Partial<Order> = {}): Promise<Deployed> {
    return this.pass(this.order(name, more));
  }

  /** Deploys and lets time pass until the old release is stopped. */
  async settled(name: string, more: Partial<Order> = {}): Promise<void> {
    const { retired } = await this.deploy(name, more);
    await this.pass(retired);
  }

  /** Lets time pass until the promise settles. */
  async pass<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    promise.then(() => over = true, () => over = true);
    for (let move = 0; move < MOVES; move++) {
      await turn();
      if (over) return await promise;
      if (this.clock.next !== undefined) await this.clock.advance(this.clock.next);
    }
    throw new Error("it never settles");
  }

  /** Living programs by instance, oldest first. */
  get alive(): FakeChild[] {
    return this.system.programs.filter((child) => child.alive);
  }

  /** Instances of living programs: `web of v1`. */
  get running(): string[] {
    return this.alive.map((child) => nameOf(child));
  }

  /** The living program of an instance. */
  program(id: string, release?: string): FakeChild {
    const found = this.alive.find((child) =>
      child.spec.env.SUPERVISOR_PROCESS_ID === id &&
      (release === undefined || child.spec.env.SUPERVISOR_RELEASE_ID === release)
    );
    if (found === undefined) throw new Error(`${id} does not run; ${this.running.join(", ")} do`);
    return found;
  }

  /** Ids and states of the listed releases. */
  get states(): string[] {
    return this.fleet.releases.map((one) => `${one.release_id} ${one.state}`);
  }

  /** Reserved ports. */
  get reserved(): number[] {
    const all = [];
    for (let port = 1; port < 65_536; port++) {
      if (this.ports.ownerOf(port) !== undefined) all.push(port);
    }
    return all;
  }

  /** Pids in the book on disk. */
  get booked(): number[] {
    return PidBook.read(this.ground.book.file).map((entry) => entry.pid).sort((a, b) => a - b);
  }

  #listening(port: number): boolean {
    return this.strangers.has(port) ||
      this.alive.some((child) => child.spec.env.SUPERVISOR_PORT === String(port));
  }

  [Symbol.dispose](): void {
    try {
      this.scratch[Symbol.dispose]();
    } catch {
      // Shared with the stage of a later daemon, which removed it.
    }
  }
}

/** `web of v1` */
export function nameOf(child: FakeChild): string {
  const { env } = child.spec;
  return `${env.SUPERVISOR_PROCESS_ID} of ${env.SUPERVISOR_RELEASE_ID}`;
}
