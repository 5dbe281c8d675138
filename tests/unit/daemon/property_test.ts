/**
 * Random lives of a daemon: deploys that work and fail, rollbacks, stops, restarts, reloads, crashes,
 * and the death of the daemon itself, many of them at once, against what must always be so.
 */

import { assert, assertEquals } from "@std/assert";
import type { Config, ProcessConfig } from "../../../lib/config/config.ts";
import { Failure } from "../../../lib/core/failure.ts";
import { endLeftovers, stopping, stopProcesses } from "../../../lib/daemon/stop.ts";
import { firstRelease } from "../../../lib/daemon/first_release.ts";
import { PidBook } from "../../../lib/release/pid_book.ts";
import { retirementOf } from "../../../lib/release/retire.ts";
import type { FakeChild } from "../../kit/fake_system.ts";
import { turn } from "../../kit/manual_clock.ts";
import { forSeeds, type Random } from "../../kit/random.ts";
import { configOf, processOf, proxiedOf, proxyOf } from "../release/configs.ts";
import { nameOf } from "../release/stage.ts";
import { Daemon } from "./kit.ts";

/** Steps of one life; after each everything is looked at. */
const STEPS = 40;
/** The longest timer that this test itself sets, milliseconds. */
const OWN_TIMERS = 2_000;

const BASE: ProcessConfig[] = [
  processOf("beacon", "service", { port: { from: 9_000, to: 9_000 } }),
  processOf("queue", "service", { deploy_strategy: "handoff", port: { from: 9_100, to: 9_199 } }),
  processOf("worker", "companion", { replicas: 2, depends_on: { queue: "started" } }),
  processOf("early", "companion", { non_blocking_drain: true }),
  proxiedOf("web", { depends_on: { beacon: "healthy" } }),
  processOf("cron", "singleton", { port: { from: 9_200, to: 9_209 } }),
  processOf("clock", "singleton", { depends_on: { cron: "started" } }),
];

/** BASE with something different. */
function randomConfig(random: Random): Config {
  const processes = BASE.filter(({ id }) => id === "web" || random.chance(0.9)).map((process) => ({
    ...process,
    depends_on: {},
    ...(random.chance(0.1) && { command: `run ${process.id} --${random.int(1, 9)}` }),
    ...(random.chance(0.1) && { graceful_stop: random.int(0, 5_000) }),
    ...(process.id === "worker" && { replicas: random.int(1, 3) }),
  }));
  return configOf(processes, {
    proxy: proxyOf({ drain_timeout: random.pick([0, 5_000, 60_000]) }),
    release_retention: { keep: random.int(0, 3), max_age: random.pick([0, 60_000]) },
  });
}

/** One life of an application: daemons that follow each other. */
class Life {
  daemon = new Daemon(BASE);
  readonly open = new Set<Promise<unknown>>();
  readonly leases: Disposable[] = [];
  deaths = 0;

  constructor(readonly random: Random) {
    this.arrange();
  }

  get stage() {
    return this.daemon.stage;
  }

  /** Programs behave as they like from now on. */
  arrange(): void {
    const { random, stage } = this;
    const { system, clock } = stage;
    system.mayspawn = (spec) => {
      if (spec.env.SUPERVISOR_PID === undefined && random.chance(0.02)) {
        throw new Failure("no memory");
      }
    };
    system.born = (child) => {
      if (child.spec.env.SUPERVISOR_PID !== undefined) return child.exit(0);
      this.checkAlone(child);
      if (random.chance(0.08)) clock.timer(random.int(0, 300), () => child.exit(1));
      if (random.chance(0.1)) child.deaf.add("SIGTERM");
      if (random.chance(0.1)) child.fork();
    };
    const build = (signal: AbortSignal) => {
      if (random.chance(0.9)) return;
      if (random.chance(0.5)) throw new Failure("no worker came up");
      return new Promise<void>((resolve, reject) => {
        clock.timer(random.int(0, OWN_TIMERS), resolve);
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    };
    stage.intake.onBuild = build;
    stage.other.onBuild = build;
  }

  /** Never two of what there is one of; never two on one port. */
  checkAlone(child: FakeChild): void {
    const { SUPERVISOR_PROCESS_ID: id, SUPERVISOR_PORT: port } = child.spec.env;
    const single = ["beacon", "cron", "clock"].includes(id);
    for (const other of this.stage.alive) {
      if (other === child) continue;
      const twin = single && other.spec.env.SUPERVISOR_PROCESS_ID === id;
      if (twin) this.broken ??= `${nameOf(child)} beside ${nameOf(other)}`;
      const same = port !== undefined && other.spec.env.SUPERVISOR_PORT === port;
      if (same) this.broken ??= `${nameOf(child)} and ${nameOf(other)} on port ${port}`;
    }
  }
  /** Told after the step: what is thrown in a spawn is the failure of that spawn. */
  broken: string | undefined;

  /** What must be so at any moment. */
  check(): void {
    const { fleet, intake, other, ports } = this.stage;
    assertEquals(this.broken, undefined);
    const active = fleet.releases.filter((release) => release.state === "active");
    assert(active.length <= 1, "several releases are active");
    assertEquals(active[0], fleet.active);
    for (const gate of [intake.gate, other.gate]) {
      assertEquals(gate.live?.release, fleet.active?.release_id);
      assertEquals(gate.live?.dropped ?? false, false);
    }
    const ids = fleet.releases.map((release) => release.release_id);
    assertEquals(new Set(ids).size, ids.length);
    const booked = new Set(this.stage.booked);
    const orphans = new Set(this.stage.ground.orphans.list().map((orphan) => orphan.pid));
    for (const child of this.stage.alive) {
      assert(booked.has(child.pid), `${nameOf(child)} is not in the book`);
      const port = Number(child.spec.env.SUPERVISOR_PORT ?? 0);
      if (port === 0 || orphans.has(child.pid)) continue;
      assert(ports.ownerOf(port) !== undefined, `port ${port} of ${nameOf(child)} is not reserved`);
    }
    assertEquals(this.stage.world.events("internal_error"), []);
  }

  /** Everything that is under way ends; then nothing may be left over. */
  async settle(): Promise<void> {
    const { stage } = this;
    for (const lease of this.leases.splice(0)) lease[Symbol.dispose]();
    await stage.pass(Promise.all(this.open));
    // A try to bring the live release back takes its turn by itself.
    await stage.pass(this.daemon.context.turn.idle);
    for (const release of [...stage.fleet.releases]) {
      await stage.pass(retirementOf(release) ?? Promise.resolve());
    }
    this.check();
    const { fleet } = stage;
    const slots = [...fleet.standing.slots, ...(fleet.active?.slots ?? [])];
    const owned = slots.flatMap((slot) => slot.port ?? []);
    assertEquals(stage.reserved, owned.sort((a, b) => a - b), "ports");
    const known = slots.flatMap((slot) => slot.process.identity?.pid ?? []);
    const orphans = stage.ground.orphans.list().map((orphan) => orphan.pid);
    const all = [...known, ...orphans].sort((a, b) => a - b);
    assertEquals(stage.booked, all, "the book");
    for (const child of stage.alive) assert(all.includes(child.pid), `${nameOf(child)} is lost`);
  }

  /** Begins something. */
  step(): void {
    const { random, daemon, stage } = this;
    const { operations } = daemon;
    const signal = stage.end.signal;
    const silent = () => {};
    switch (random.int(0, 13)) {
      case 0:
      case 1:
      case 2: {
        const id = `v${random.int(1, 5)}`;
        const release_path = stage.release(id);
        return this.run(() => operations.deploy({ release_path, release_id: id }, silent, signal));
      }
      case 3:
        return this.run(() => operations.rollback({}, silent, signal));
      case 4:
        if (random.chance(0.5)) return;
        return this.run(() => operations.stop({ now: random.chance(0.5) }));
      case 5: {
        const process = random.pick([undefined, "web", "worker", "cron", "beacon"]);
        return this.run(() => operations.restart({ process }));
      }
      case 6:
        return this.run(() => operations.scale({ name: "worker", count: random.int(0, 3) }));
      case 7:
        daemon.file = randomConfig(random);
        return this.run(() => operations.reload());
      case 8:
      case 9:
        if (stage.alive.length === 0) return;
        return random.pick(stage.alive).exit(random.int(0, 1));
      case 10: {
        const lease = random.pick([stage.intake.gate, stage.other.gate]).lease();
        if (lease !== undefined) this.leases.push(lease);
        return;
      }
      case 11:
        return this.leases.shift()?.[Symbol.dispose]();
      case 12:
        stage.history.broken = random.chance(0.2);
        return;
      case 13:
        stage.strangers.clear();
        if (random.chance(0.5)) stage.strangers.add(random.int(9_100, 9_105));
    }
  }

  run(operation: () => Promise<unknown>): void {
    const done = (async () => {
      try {
        return await operation();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
      }
    })();
    this.open.add(done);
    done.then(() => this.open.delete(done), () => {});
  }

  /** The daemon is killed; another one comes up beside what it left. */
  async die(): Promise<void> {
    const { daemon } = this;
    this.deaths++;
    this.open.clear();
    this.leases.length = 0;
    const { live } = daemon.stage.history.read();
    daemon.stage.end.abort(new Failure("killed"));
    const file = daemon.file;
    if (file instanceof Failure) throw file;
    const left = PidBook.read(daemon.stage.ground.book.file);
    const alive = daemon.stage.alive.map((child) => child.pid);
    for (const pid of alive) assert(left.some((entry) => entry.pid === pid), `${pid} is unknown`);
    this.daemon = new Daemon(file, daemon);
    this.arrange();
    const { context } = this.daemon;
    this.run(() => firstRelease(context, undefined, live));
    await turn();
  }

  /** The daemon ends as it should; then nothing may be left. */
  async end(): Promise<void> {
    const { context, stage } = this.daemon;
    context.state = "stopping";
    context.restore.forget();
    context.turn.close(stopping());
    const ending = stopProcesses(context).then((wrong) => assertEquals(wrong, []));
    await stage.pass(ending.then(() => endLeftovers(context)));
    context.fleet.close();
    assertEquals([stage.running, stage.reserved, stage.booked], [[], [], []]);
    if (this.deaths > 0) return; // What dead daemons still wait for is nobody's business.
    await stage.clock.advance(OWN_TIMERS);
    assertEquals(stage.clock.pending, 0, "timers");
    assertEquals(stage.system.waiting, 0, "waits for groups");
  }
}

Deno.test("whatever happens: one live release, one of each singleton, no port and no program lost", () =>
  forSeeds(25, async (random) => {
    const life = new Life(random);
    using _ = life.daemon;
    for (let step = 0; step < STEPS; step++) {
      life.step();
      await life.stage.clock.advance(random.pick([0, 0, 50, 150, 1_000, 10_000]));
      life.check();
      if (random.chance(0.05)) await life.settle();
      if (random.chance(0.03)) await life.die();
    }
    if (random.chance(0.5)) await life.settle();
    await life.end();
  }));
