/**
 * Brings the release back that was live when the daemon before this one ended.
 *
 * | state   | event                          | next    | what happens                                |
 * | ------- | ------------------------------ | ------- | ------------------------------------------- |
 * | idle    | first(record)                  | trying  | a deploy of kind restore                    |
 * | trying  | live                           | idle    | the orphans left over are stopped           |
 * | trying  | failed                         | waiting | said why; next try under backoff            |
 * | waiting | its time                       | trying  |                                             |
 * | waiting | another release went live, or  | idle    | forgotten                                   |
 * |         | the operator stopped, or end   |         |                                             |
 *
 * Invariant: never more than one try at a time, and none once it is not wanted any more; a try that
 * waits for its turn asks again when it has come (that is the attempt's part).
 */

import { freshHistory, nextWait, type WaitPolicy } from "../core/backoff.ts";
import { stamp, type Timer } from "../core/clock.ts";
import { messageOf } from "../core/failure.ts";
import type { ReleaseRecord } from "../release/types.ts";
import type { Clock } from "../core/clock.ts";
import type { Emit } from "../telemetry/events.ts";

/** A machine that just booted may lack its database for a while: never give up. */
const POLICY: WaitPolicy = { delay: 1_000, backoff_factor: 2, max_delay: 30_000 };

/** The state of the restoration, for status. */
export interface RestoreStatus {
  release_id: string;
  error: string;
  next_try_at: string;
}

/** The restoration of one daemon. */
export class Restore {
  readonly #history = freshHistory();
  #timer: Timer | undefined;
  #status: RestoreStatus | undefined;

  /**
   * @param attempt deploys the record; throws when it cannot be made live
   * @param wanted false once something is live, the operator stopped it, or the daemon ends
   */
  constructor(
    readonly clock: Clock,
    readonly emit: Emit,
    readonly attempt: (record: ReleaseRecord) => Promise<void>,
    readonly wanted: () => boolean,
  ) {}

  /** Set while a restoration failed and is going to be tried again. */
  get status(): RestoreStatus | undefined {
    return this.#status;
  }

  /** One try; schedules the next one when it fails. Never throws. */
  async run(record: ReleaseRecord): Promise<void> {
    try {
      await this.attempt(record);
      this.forget();
    } catch (error) {
      if (this.wanted()) this.#later(record, messageOf(error));
      else this.forget();
    }
  }

  /** No more tries. */
  forget(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#status = undefined;
  }

  #later(record: ReleaseRecord, error: string): void {
    const delay = nextWait(POLICY, this.#history);
    this.#status = {
      release_id: record.release_id,
      error,
      next_try_at: stamp(this.clock.wall() + delay),
    };
    this.emit("restore_failed", { release: record.release_id, error, next_try_ms: delay });
    this.#timer?.cancel();
    this.#timer = this.clock.timer(delay, () => {
      if (this.wanted()) void this.run(record);
      else this.forget();
    });
  }
}
