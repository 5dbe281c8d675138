/**
 * Both ends of every kind of relay: real PHP workers, and raw peers that write whatever bytes a test
 * wants.
 *
 * Invariant: nothing a test started outlives it.
 */

import { pipesRelay } from "../../../lib/goridge/pipes.ts";
import type { RelayDoors } from "../../../lib/goridge/doors.ts";
import { shakeHands } from "../../../lib/goridge/handshake.ts";
import { relayDoors } from "../../../lib/goridge/relay_doors.ts";
import type { Relay } from "../../../lib/goridge/relay.ts";
import { socketRelay } from "../../../lib/goridge/socket.ts";
import { realClock } from "../../../lib/os/clock.ts";
import { realSystem } from "../../../lib/os/real.ts";
import type { Child, ExitStatus, Identity, Machine, SpawnSpec } from "../../../lib/os/system.ts";
import type { Emit } from "../../../lib/telemetry/events.ts";
import { fixture } from "../../kit/programs.ts";
import { Scratch } from "../../kit/scratch.ts";

/** What a relay goes over. */
export const KINDS = ["pipes", "unix", "tcp"] as const;
export type Kind = typeof KINDS[number];

export const PATH = "/usr/local/bin:/usr/bin:/bin";

/** A worker that has shaken hands. */
export interface Worker {
  readonly relay: Relay;
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  /** What it wrote to stderr so far. */
  stderr(): string;
}

/** Somebody who speaks bytes. */
export interface RawPeer {
  /** Our end. */
  readonly relay: Relay;
  write(bytes: Uint8Array): Promise<void>;
  /** The next bytes it got, at least one. */
  read(): Promise<Uint8Array>;
  /** Closes its end. */
  end(): void;
}

/** A place for workers and peers. */
export class Peers implements AsyncDisposable {
  readonly scratch = new Scratch();
  readonly system: Machine = realSystem();
  readonly events: string[] = [];
  readonly doors: RelayDoors;
  readonly #undo: (() => unknown)[] = [];
  #count = 0;

  constructor() {
    const emit: Emit = (name, facts) => void this.events.push(`${name} ${JSON.stringify(facts)}`);
    this.doors = relayDoors({ clock: realClock, emit });
  }

  /** The DSN of a kind. */
  dsn(kind: Kind): string {
    if (kind === "unix") return `unix://${this.scratch.path("relay.sock")}`;
    return kind === "tcp" ? "tcp://127.0.0.1:0" : "pipes";
  }

  /** A worker that runs a PHP script, its handshake done. */
  async worker(kind: Kind, script: string, identity?: Identity): Promise<Worker> {
    const stderr = this.scratch.path(`err${this.#count++}`);
    const spec: SpawnSpec = {
      argv: ["php", fixture(`php/${script}`)],
      cwd: "/",
      env: { PATH, RR_RELAY: this.dsn(kind) },
      output: { stdout: "/dev/null", stderr },
      identity,
    };
    const [child, relay] = await this.#connect(kind, spec);
    this.#undo.push(() => relay.close());
    return {
      relay,
      pid: child.pid,
      exited: child.exited,
      stderr: () => Deno.readTextFileSync(stderr),
    };
  }

  /** A child with pipes, whatever it is. */
  piped(argv: string[], more: Partial<SpawnSpec> = {}): { child: Child; relay: Relay } {
    const child = this.system.spawnPiped({ argv, cwd: "/", env: { PATH }, ...more });
    const relay = pipesRelay(child, realClock);
    this.#adopt(child);
    this.#undo.push(() => relay.close());
    return { child, relay };
  }

  /** A peer that writes bytes of ours. */
  raw(kind: Kind): Promise<RawPeer> {
    return kind === "pipes" ? this.#rawPiped() : this.#rawSocket(kind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const undo of this.#undo.reverse()) await undo();
    this.system[Symbol.dispose]();
    this.scratch[Symbol.dispose]();
  }

  async #connect(kind: Kind, spec: SpawnSpec): Promise<[Child, Relay]> {
    if (kind === "pipes") {
      const child = this.system.spawnPiped(spec);
      this.#adopt(child);
      const relay = pipesRelay(child, realClock);
      await shakeHands(relay, Deno.pid);
      return [child, relay];
    }
    const door = await this.doors.open(this.dsn(kind), spec.identity);
    this.#undo.push(() => door.close());
    spec.env.RR_RELAY = door.dsn;
    const child = this.system.spawn(spec);
    this.#adopt(child);
    const isIt = (pid: number) => pid === child.pid;
    return [child, await door.expect({ isIt, signal: AbortSignal.timeout(20_000) })];
  }

  #adopt(child: Child): void {
    const id = { pid: child.pid, start: child.start, boot_id: this.system.bootId };
    this.#undo.push(async () => {
      this.system.signalGroup(id, "SIGKILL");
      await child.exited;
      await this.system.groupGone(child.pid);
    });
  }

  /** Two cats: FIFO to stdout, stdin to FIFO. Ready once the first FIFO is open at their side. */
  async #rawPiped(): Promise<RawPeer> {
    const [out, into] = ["out", "into"].map((name) => this.#fifo(`${name}${this.#count++}`));
    const script = 'exec 3<"$1" && echo up >"$2" && { cat <&3 & } && exec 3<&- cat >"$2"';
    const { relay } = this.piped(["sh", "-c", script, "sh", out.path, into.path]);
    const buffer = new Uint8Array(256 * 1024);
    await into.file.read(buffer);
    return {
      relay,
      write: (bytes) => writeAll(out.file, bytes),
      read: async () => buffer.slice(0, (await into.file.read(buffer)) ?? 0),
      end: () => out.close(),
    };
  }

  #fifo(name: string): { path: string; file: Deno.FsFile; close(): void } {
    const path = this.scratch.path(name);
    new Deno.Command("mkfifo", { args: [path] }).outputSync();
    const file = Deno.openSync(path, { read: true, write: true });
    let open = true;
    const close = () => {
      if (open) file.close();
      open = false;
    };
    this.#undo.push(close);
    return { path, file, close };
  }

  async #rawSocket(kind: Kind): Promise<RawPeer> {
    const path = this.scratch.path(`raw${this.#count++}`);
    using listener: Deno.Listener = kind === "unix"
      ? Deno.listen({ transport: "unix", path })
      : Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { addr } = listener;
    const peer = addr.transport === "unix"
      ? await Deno.connect({ transport: "unix", path })
      : await Deno.connect({ hostname: "127.0.0.1", port: (addr as Deno.NetAddr).port });
    const relay = socketRelay(await listener.accept(), realClock);
    let open = true;
    const end = () => {
      if (open) peer.close();
      open = false;
    };
    this.#undo.push(() => relay.close(), end);
    const buffer = new Uint8Array(256 * 1024);
    return {
      relay,
      write: (bytes) => writeAll(peer, bytes),
      read: async () => buffer.slice(0, (await peer.read(buffer)) ?? 0),
      end,
    };
  }
}

async function writeAll(
  to: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
