/**
 * One job at a worker.
 *
 * | what happens                     | the job                                                     |
 * | -------------------------------- | ----------------------------------------------------------- |
 * | the worker answers, fails, ends  | outcome.ts says                                             |
 * | no worker took it                | waits again, as if it had not been given                    |
 * | a newer release is live          | waits again, when no worker has it yet                      |
 * | the drain is cut                 | waits again, or is handed back when its worker is gone      |
 *
 * Invariants: it ends once, and its lease is given back then; what is acknowledged before (`auto_ack`)
 * reaches no worker before that is done.
 */

import type { Lease } from "../../lib/core/gate.ts";
import { messageOf } from "../../lib/core/failure.ts";
import type { WorkerPool } from "../../lib/pool/contract.ts";
import { type Answer, type PoolCall, PoolError, type PoolErrorKind } from "../../lib/pool/types.ts";
import { requestOf } from "./context.ts";
import { failed, type Outcome, outcomeOf } from "./outcome.ts";
import type { Taken } from "./taken.ts";
import type { Target, Work } from "./target.ts";

/** The pool's trouble, not the job's. */
const NOT_GIVEN: ReadonlySet<PoolErrorKind> = new Set(["queue_full", "no_worker", "destroyed"]);

/** Where a job waits for its turn. */
export interface WorkHome {
  /** It is over; `served`: a worker has answered. */
  over(work: JobWork, served: boolean): void;
  /** It waits again; `why`: what its pool says. */
  returned(work: JobWork, why: string | undefined): void;
}

/** See the file's comment. */
export class JobWork implements Work {
  #call: PoolCall | undefined;
  #over = false;
  readonly #pool: WorkerPool;

  /** The lease's target has the pool. */
  constructor(readonly taken: Taken, readonly lease: Lease<Target>, readonly home: WorkHome) {
    this.#pool = lease.target.pools.get(taken.pipeline.pool)!;
  }

  begin(): void {
    const { taken, lease } = this;
    const { pipeline, delivery } = taken;
    lease.target.works.add(this);
    pipeline.begun();
    lease.onCut = this.#cut;
    if (!delivery.auto_ack || taken.acknowledged) return this.#give();
    pipeline.acknowledge(taken).then(
      () => this.#over || this.#give(),
      // Then it is as it was before: the next delivery tries again.
      (error) => this.#over || this.#ended(failed(messageOf(error))),
    );
  }

  recall(): void {
    if (this.#call?.waiting !== true) return;
    this.#call.cancel();
    this.#return(undefined);
  }

  #give(): void {
    const { pipeline, delivery } = this.taken;
    this.#call = this.#pool.call(requestOf(pipeline, delivery));
    this.#call.answer.then(this.#answered, this.#failed);
  }

  readonly #answered = (answer: Answer): void => {
    if (this.#over) return answer.cancel();
    if (!answer.more) return this.#ended(outcomeOf(answer.body), answer.pid);
    answer.cancel();
    this.#ended(failed("the worker answered with a stream, which no job has"), answer.pid);
  };

  readonly #failed = (error: unknown): void => {
    if (this.#over) return;
    if (!(error instanceof PoolError)) {
      return this.#ended(failed(messageOf(error)));
    }
    const { kind, message, pid } = error;
    if (NOT_GIVEN.has(kind)) return this.#return(message);
    this.#ended(failed(message), pid);
  };

  readonly #cut = (): void => {
    if (this.#over) return;
    if (this.#call === undefined || this.#call.waiting) {
      this.#call?.cancel();
      return this.#return(undefined);
    }
    this.#call.cancel();
    this.#end();
    this.lease.target.cut(this.#pool, this.taken);
    this.home.over(this, false);
  };

  #ended(outcome: Outcome, pid?: number): void {
    this.#end();
    this.taken.pipeline.ended(this.taken, outcome, { release: this.#pool.release, pid });
    this.home.over(this, true);
  }

  #return(why: string | undefined): void {
    this.#end();
    this.home.returned(this, why);
  }

  #end(): void {
    this.#over = true;
    this.lease.target.works.delete(this);
    this.taken.pipeline.over();
    this.lease.release();
  }
}
