/**
 * The life of one program as a table: state and event in, next state and effects out. Pure.
 *
 * | phase    | alive      | event           | next phase            | effects                         |
 * | -------- | ---------- | --------------- | --------------------- | ------------------------------- |
 * | stopped, | nothing    | start, restart  | starting              | forgive, spawn                  |
 * | failed   |            | stop            | stopped               | answer_stop                     |
 * | starting | the child, | spawned         | =                     | prove                           |
 * |          | unproven   | unspawned       | A: backoff or failed  | fail_start, retry (backoff)     |
 * |          |            | proven          | running               | answer_start                    |
 * |          |            | unproven        | stopping → A          | fail_start, descend_fast        |
 * |          |            | memory          | stopping → A          | fail_start, descend_fast        |
 * |          |            | exited          | clearing → A          | fail_start, clear               |
 * |          |            | stop            | stopping → stopped    | cancel_start, descend           |
 * |          |            | restart         | stopping → starting   | forgive, descend                |
 * | running  | the child, | exited          | clearing → A          | clear                           |
 * |          | proven     | memory          | stopping → starting   | descend                         |
 * |          |            | stop            | stopping → stopped    | descend                         |
 * |          |            | restart         | stopping → starting   | forgive, descend                |
 * |          |            | start           | =                     | answer_start                    |
 * | stopping | the child  | gone            | what → says           | answer_stop, then as there      |
 * |          | or others  | start, restart  | = → starting          | forgive                         |
 * |          | of its     | stop            | = → stopped           | cancel_start                    |
 * | clearing | group      | as stopping     |                       |                                 |
 * | backoff  | nothing    | due             | starting              | spawn                           |
 * |          |            | spent           | failed                |                                 |
 * |          |            | start, restart  | starting              | disarm, forgive, spawn          |
 * |          |            | stop            | stopped               | disarm, answer_stop             |
 * |          |            | quiesce         | failed                | disarm                          |
 *
 * "A": `backoff` with the effect `retry`; but `failed` when on trial or quiesced. "→" stands in
 * `Life.then`. `quiesce` is remembered until the next start or restart, and turns what is planned by
 * itself into its quiet form: → starting becomes → stopped, → backoff becomes → failed. What the
 * table does not name changes nothing.
 *
 * Invariants: `spawn` is asked for only where nothing of an earlier run is alive; after stop or
 * quiesce it is asked for only by a later start or restart; whoever waits for a start or a stop is
 * answered, since every way out of the phases it waits in has an answer effect.
 */

import type { ProcessState, StartReason } from "./types.ts";

/** As ProcessState, with what users see as `stopping` or `backoff` told apart. */
export type Phase = ProcessState | "clearing";

/** What follows when the group is gone. */
export type Then = "stopped" | "starting" | "backoff" | "failed";

/** Where a process is. */
export interface Life {
  readonly phase: Phase;
  /** Only meaningful in `stopping` and `clearing`. */
  readonly then: Then;
  /** Why the run was started that is on, or that comes next. */
  readonly reason: StartReason;
  /** The first failure before it is proven is final. */
  readonly trial: boolean;
  /** It starts no more by itself. */
  readonly quiesced: boolean;
}

/** What happens to a process. */
export type LifeEvent =
  | { type: "start" | "restart"; reason: StartReason; trial: boolean }
  | {
    type:
      | "stop"
      | "quiesce"
      | "spawned"
      | "unspawned"
      | "proven"
      | "unproven"
      | "exited"
      | "memory"
      | "gone"
      | "due"
      | "spent";
  };

/** What the interpreter has to do, in this order. */
export type Effect =
  /** Start a child; answers `spawned` or `unspawned`. */
  | "spawn"
  /** Find out whether the child works; answers `proven` or `unproven`. */
  | "prove"
  /** The stop ladder; answers `gone`. */
  | "descend"
  /** The stop ladder for a child that never worked: no quiet, no drain, bounded. */
  | "descend_fast"
  /** Kill what a crashed leader left; answers `gone`. */
  | "clear"
  /** Ask the restart budget; answers `due` after the wait, or `spent`. */
  | "retry"
  /** Take the wait of `retry` back. */
  | "disarm"
  /** Forget earlier tries. */
  | "forgive"
  /** Whoever waits for a start: it is proven. */
  | "answer_start"
  /** This attempt failed: report it, and tell whoever waits for it. */
  | "fail_start"
  /** Whoever waits for a start: a stop came first. */
  | "cancel_start"
  /** Whoever waits for a stop: it is over. */
  | "answer_stop";

/** Before the first start. */
export const AT_REST: Life = {
  phase: "stopped",
  then: "stopped",
  reason: "manual",
  trial: false,
  quiesced: false,
};

/** A life and what to do about it. */
export interface Step {
  life: Life;
  effects: Effect[];
}

/** One row of the table. */
export function step(life: Life, event: LifeEvent): Step {
  switch (event.type) {
    case "start":
    case "restart":
      return wanted({ ...life, quiesced: false }, event);
    case "stop":
      return unwanted(life);
    case "quiesce":
      return quiesced({ ...life, quiesced: true });
    case "gone":
      return life.phase === "stopping" || life.phase === "clearing" ? gone(life) : stay(life);
  }
  switch (life.phase) {
    case "starting":
      return starting(life, event.type);
    case "running":
      if (event.type === "exited") return to(life, "clearing", ["clear"], failing(life));
      if (event.type === "memory") return overfed(life);
      return stay(life);
    case "backoff":
      if (event.type === "due") return to({ ...life, reason: "crash" }, "starting", ["spawn"]);
      if (event.type === "spent") return to(life, "failed");
      return stay(life);
    default:
      return stay(life);
  }
}

/** What users are shown of a phase. */
export function shown(life: Life): ProcessState {
  if (life.phase !== "clearing") return life.phase;
  return life.then === "backoff" ? "backoff" : "stopping";
}

function wanted(
  life: Life,
  event: { type: "start" | "restart"; reason: StartReason; trial: boolean },
): Step {
  const fresh = { ...life, reason: event.reason, trial: event.trial };
  switch (life.phase) {
    case "starting":
      if (event.type === "start") return stay(life);
      return to(fresh, "stopping", ["forgive", "descend"], "starting");
    case "running":
      if (event.type === "start") return stay(life, ["answer_start"]);
      return to(fresh, "stopping", ["forgive", "descend"], "starting");
    case "stopping":
    case "clearing":
      return to(fresh, life.phase, ["forgive"], "starting");
    case "backoff":
      return to(fresh, "starting", ["disarm", "forgive", "spawn"]);
    default:
      return to(fresh, "starting", ["forgive", "spawn"]);
  }
}

function unwanted(life: Life): Step {
  switch (life.phase) {
    case "starting":
      return to(life, "stopping", ["cancel_start", "descend"], "stopped");
    case "running":
      return to(life, "stopping", ["descend"], "stopped");
    case "stopping":
    case "clearing":
      return to(life, life.phase, ["cancel_start"], "stopped");
    case "backoff":
      return to(life, "stopped", ["disarm", "answer_stop"]);
    default:
      return to(life, "stopped", ["answer_stop"]);
  }
}

function quiesced(life: Life): Step {
  if (life.phase === "backoff") return to(life, "failed", ["disarm"]);
  if (life.phase !== "stopping" && life.phase !== "clearing") return stay(life);
  if (life.then === "starting") return to(life, life.phase, ["cancel_start"], "stopped");
  if (life.then === "backoff") return to(life, life.phase, [], "failed");
  return stay(life);
}

function starting(life: Life, event: LifeEvent["type"]): Step {
  const after = failing(life);
  switch (event) {
    case "spawned":
      return stay(life, ["prove"]);
    case "proven":
      return to({ ...life, trial: false }, "running", ["answer_start"]);
    case "unspawned":
      return to(life, after, after === "backoff" ? ["fail_start", "retry"] : ["fail_start"]);
    case "unproven":
    case "memory":
      return to(life, "stopping", ["fail_start", "descend_fast"], after);
    case "exited":
      return to(life, "clearing", ["fail_start", "clear"], after);
    default:
      return stay(life);
  }
}

/** Too much memory: a stop like any other, and a new run unless it is on its way out. */
function overfed(life: Life): Step {
  if (life.quiesced) return to(life, "stopping", ["descend"], "stopped");
  return to({ ...life, reason: "memory" }, "stopping", ["descend"], "starting");
}

function gone(life: Life): Step {
  switch (life.then) {
    case "starting":
      return to(life, "starting", ["answer_stop", "spawn"]);
    case "backoff":
      return to(life, "backoff", ["answer_stop", "retry"]);
    default:
      return to(life, life.then, ["answer_stop"]);
  }
}

function failing(life: Life): "backoff" | "failed" {
  return life.trial || life.quiesced ? "failed" : "backoff";
}

function to(life: Life, phase: Phase, effects: Effect[] = [], then: Then = "stopped"): Step {
  return { life: { ...life, phase, then }, effects };
}

function stay(life: Life, effects: Effect[] = []): Step {
  return { life, effects };
}
