/**
 * What systemd (or any manager that gave us NOTIFY_SOCKET) is told, and when.
 *
 * Invariant: READY is said once, after everything serves; the watchdog is fed by the event loop
 * itself, so a daemon that hangs is not fed.
 */

import type { Timer } from "../core/clock.ts";
import type { ServiceNotice } from "../os/notify.ts";
import type { Context } from "./context.ts";

/** What a stop may take besides the drain: the ladders of the processes. */
const STOP_MARGIN = 30_000;

/** The line to the service manager. */
export class ServiceManager {
  #watchdog: Timer | undefined;
  /** What it was told last; undefined before everything serves. */
  #status: string | undefined;

  constructor(readonly context: Pick<Context, "clock">, readonly notice: ServiceNotice) {}

  /** Everything serves. @param release the live one */
  ready(release: string | null): void {
    this.#status = statusOf(release);
    this.notice.ready(this.#status);
    this.#feed();
  }

  /** Another release may have become the live one. */
  live(release: string | null): void {
    const status = statusOf(release);
    if (this.#status === undefined || this.#status === status) return;
    this.#status = status;
    this.notice.status(status);
  }

  /** A start or a stop will take up to `ms` milliseconds (and some). */
  extend(ms: number): void {
    if (this.notice.present) this.notice.extend(ms + STOP_MARGIN);
  }

  /** A reload, from its beginning to its end. */
  async reloading<T>(reload: () => Promise<T>): Promise<T> {
    this.notice.reloading();
    try {
      return await reload();
    } finally {
      this.notice.ready();
    }
  }

  /** The end has begun and may take `ms` milliseconds. */
  stopping(ms: number): void {
    this.notice.stopping("stopping");
    this.extend(ms);
  }

  /** No more signs of life. */
  close(): void {
    this.#watchdog?.cancel();
  }

  #feed(): void {
    const { watchdog } = this.notice;
    if (watchdog === undefined) return;
    this.notice.alive();
    this.#watchdog = this.context.clock.timer(watchdog, () => this.#feed());
  }
}

function statusOf(release: string | null): string {
  return `live: ${release ?? "no release"}`;
}
