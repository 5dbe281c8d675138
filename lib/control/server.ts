/**
 * The control channel of a daemon: the app behind a Unix socket, for as long as the daemon lives.
 *
 * Deno.serve has no time-outs, shows silent connections to nobody and cannot close a single one. So a
 * socket that collects them is replaced as everything here is replaced: a new one is bound and renamed
 * into place (clients notice nothing), the old one finishes what it works on and is then cut.
 *
 * | event                              | effect                                               |
 * | ---------------------------------- | ---------------------------------------------------- |
 * | sweep, no silent connection stayed | –                                                    |
 * | sweep, some stayed since the last  | new door; the old one retires                        |
 * | a further door is needed           | followers of the retired doors end                   |
 * | a retired door has no work left    | it is cut                                            |
 * | shutdown is done                   | the path is unlinked, then the answer sent           |
 * | close(ms)                          | path unlinked, followers end, answers get out, cut   |
 *
 * Invariant: the path always leads to a door that serves, from openControl to the first unlink; it is
 * never unlinked when another daemon's socket stands there.
 */

import type { Clock, Timer } from "../core/clock.ts";
import { Exit, Failure, messageOf } from "../core/failure.ts";
import { reasonOf } from "../os/reason.ts";
import { socketAnswers, type SocketPlace } from "../os/socket_file.ts";
import type { Emit } from "../telemetry/events.ts";
import { type App, CONTROL_LIMITS, type ControlLimits, createApp } from "./app.ts";
import { CONTROL_SOCKET, Door } from "./door.ts";
import type { Operations } from "./operations.ts";

/** How long close() waits by default. */
const CLOSE = 5_000;

/** What the control channel needs. */
export interface ControlOptions extends SocketPlace {
  operations: Operations;
  emit: Emit;
  clock: Clock;
  limits?: Partial<ControlLimits>;
}

/**
 * Opens the control socket. Its directory must exist; a stale socket at the path is replaced.
 *
 * @throws Failure when another daemon answers at the path (exit 5), something that is no socket lies
 *   there, or the socket cannot be made with this mode and owner
 */
export async function openControl(options: ControlOptions): Promise<Control> {
  await refuseOccupied(options.path, options.clock);
  return new Control(options);
}

/** The open control channel. */
export class Control implements AsyncDisposable {
  readonly path: string;
  readonly #options: ControlOptions;
  readonly #limits: ControlLimits;
  readonly #app: App;
  #door: Door;
  readonly #retired = new Set<Door>();
  #sweeper: Timer | undefined;
  #hidden = false;
  #closed: Promise<void> | undefined;

  /** Use openControl. */
  constructor(options: ControlOptions) {
    this.path = options.path;
    this.#options = options;
    this.#limits = { ...CONTROL_LIMITS, ...options.limits };
    const { operations, emit, clock } = options;
    const onShutdown = () => this.hide();
    this.#app = createApp({ operations, emit, clock, limits: this.#limits, onShutdown });
    this.#door = this.#newDoor();
    this.#armSweep();
    emit("control_listening", { path: this.path });
  }

  /** Requests being worked on now. */
  get working(): number {
    return [this.#door, ...this.#retired].reduce((sum, door) => sum + door.working, 0);
  }

  /**
   * Closes: no new clients, followers end, answers (that of a shutdown among them) are sent. What is
   * not done after `ms` milliseconds is cut. Resolves when the socket and its name are gone.
   */
  close(ms = CLOSE): Promise<void> {
    this.#closed ??= this.#close(ms);
    return this.#closed;
  }

  /** Removes the name, so that another daemon may take it; whoever is connected stays. */
  hide(): void {
    this.#hidden = true;
    this.#unlink();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(ms: number): Promise<void> {
    this.#sweeper?.cancel();
    this.#unlink();
    await Promise.all([this.#door, ...this.#retired].map((door) => door.close(ms)));
  }

  #newDoor(): Door {
    return new Door(this.#options, this.#app, this.#options.clock);
  }

  #unlink(): void {
    try {
      this.#door.unlink();
    } catch (error) {
      this.#report(`cannot remove the control socket "${this.path}": ${reasonOf(error)}`);
    }
  }

  #armSweep(): void {
    this.#sweeper = this.#options.clock.timer(this.#limits.sweep, () => {
      this.#armSweep();
      try {
        const silent = this.#door.silent();
        if (silent > 0 && !this.#hidden) this.#renew(silent);
      } catch (error) {
        this.#report(messageOf(error));
      }
    });
  }

  #renew(silent: number): void {
    const old = this.#door;
    this.#door = this.#newDoor();
    this.#report(`closing ${silent} silent connection${silent === 1 ? "" : "s"}`);
    for (const door of this.#retired) door.endFollowers();
    this.#retired.add(old);
    old.retire(() => this.#retired.delete(old));
  }

  #report(error: string): void {
    this.#options.emit("control_error", { error });
  }
}

/** Makes sure that what lies at the path may be replaced. */
async function refuseOccupied(path: string, clock: Clock): Promise<void> {
  if (!await socketAnswers(path, CONTROL_SOCKET, clock)) return;
  throw new Failure(`another daemon answers at the control socket "${path}"`, {
    exit: Exit.running,
    fix: "stop it with `supervisor shutdown`, or set control.socket to another place",
    detail: { socket: path },
  });
}
