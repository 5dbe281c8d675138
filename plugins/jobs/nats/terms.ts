/** What the parts of the driver know of its pipeline. */

import type { Clock } from "../../../lib/core/clock.ts";

/** See the file's comment. */
export interface Terms {
  readonly pipeline: string;
  readonly clock: Clock;
  /** What is done leaves a stream that would keep it. */
  readonly deletes: boolean;
  /** Of unique jobs that bring none of their own, milliseconds. */
  readonly window: number | undefined;
}
