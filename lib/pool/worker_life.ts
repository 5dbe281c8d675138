/**
 * The life of one worker as a table: state and event in, next state and effects out. Pure.
 *
 * | state          | event       | next state       | effects             |
 * | -------------- | ----------- | ---------------- | ------------------- |
 * | inactive       | proven      | ready            | offer               |
 * |                | leave       | stopping         | stop                |
 * |                | fail        | errored          | kill                |
 * | ready, marked  | take        | working, invalid |                     |
 * |                | mark        | marked           |                     |
 * |                | leave       | stopping         | withdraw, stop      |
 * | working,       | answered    | ready, marked    | offer               |
 * | invalid        | ‥ leaving   | stopping         | stop                |
 * |                | ‥ last      | maxJobsReached   | part, stop          |
 * |                | mark        | invalid          |                     |
 * |                | quit        | invalid (ending) | part, stop          |
 * |                | overdue     | execTTLReached   | part, terminate     |
 * |                | leave       | invalid, leaving |                     |
 * | any but ending | fail        | errored          | withdraw, part, kill |
 * |                | destroy     | destroyed        | withdraw, stop (busy: terminate) |
 * | ending         | gone        | stopped (errored and destroyed stay) |  |
 *
 * "marked": one of `ttlReached`, `idleTTLReached`, `maxMemoryReached`. A marked worker still takes
 * requests until its successor stands in its place (then comes `leave`): `invalid` while it works.
 * "ending": an effect of the last three was asked for. `withdraw` only where it was offered (ready,
 * marked); `part` only where it has not been told to leave: it gives up its place by itself. What the
 * table does not name changes nothing.
 *
 * Invariants: at most one of stop, terminate, kill in a life; never offered after that, nor twice
 * without a take between; it parts at most once, and never after `leave`.
 */

import type { WorkerState } from "./types.ts";

/** Why a worker shall be replaced although it works. */
export type Mark = "ttl" | "idle_ttl" | "memory";

/** Where a worker is. */
export interface Life {
  readonly state: WorkerState;
  /** The first mark it got. */
  readonly mark?: Mark;
  /** Its successor stands: it goes as soon as its answer is out. */
  readonly leaving: boolean;
  /** Its end has begun. */
  readonly ending: boolean;
}

/** What happens to a worker. */
export type LifeEvent =
  | { type: "mark"; mark: Mark }
  /** The whole answer was read; `last`: it shall not take another request. */
  | { type: "answered"; last: boolean }
  | {
    type:
      /** It has shaken hands, and warmed up. */
      | "proven"
      /** It was given a request. */
      | "take"
      /** It asked to be replaced, or cannot be trusted with another request. */
      | "quit"
      /** exec_ttl is over. */
      | "overdue"
      /** Somebody else has its place. */
      | "leave"
      /** It ended, or what it says is not to be understood. */
      | "fail"
      /** The pool goes. */
      | "destroy"
      /** Nothing of its group is alive. */
      | "gone";
  };

/** What the interpreter has to do, in this order. */
export type Effect =
  /** It is free: it may be handed out. */
  | "offer"
  /** It is not free any more. */
  | "withdraw"
  /** Its place is vacant. */
  | "part"
  /** Stop frame, SIGTERM, SIGKILL; answers `gone`. */
  | "stop"
  /** SIGTERM, SIGKILL; answers `gone`. */
  | "terminate"
  /** SIGKILL; answers `gone`. */
  | "kill";

/** Just started. */
export const BORN: Life = { state: "inactive", leaving: false, ending: false };

/** A life and what to do about it. */
export interface Step {
  life: Life;
  effects: Effect[];
}

const MARKED: Record<Mark, WorkerState> = {
  ttl: "ttlReached",
  idle_ttl: "idleTTLReached",
  memory: "maxMemoryReached",
};

/** RoadRunner's numbers of the states. */
export const STATUS: Record<WorkerState, number> = {
  inactive: 0,
  ready: 1,
  working: 2,
  invalid: 3,
  stopping: 4,
  stopped: 5,
  destroyed: 6,
  maxJobsReached: 7,
  errored: 8,
  idleTTLReached: 9,
  ttlReached: 10,
  maxMemoryReached: 11,
  execTTLReached: 12,
};

/** One step of a life. */
export function step(life: Life, event: LifeEvent): Step {
  if (life.ending) return ended(life, event);
  if (event.type === "fail") return end(life, "errored", "kill", true);
  if (event.type === "destroy") {
    return end(life, "destroyed", isBusy(life) ? "terminate" : "stop", false);
  }
  if (life.state === "inactive") return unproven(life, event);
  return isFree(life) ? free(life, event) : busy(life, event);
}

/** Whether it may be handed out. */
export function isFree({ state, mark, ending }: Life): boolean {
  return !ending && (state === "ready" || (mark !== undefined && state === MARKED[mark]));
}

/** Whether it has a request. */
export function isBusy({ state, ending }: Life): boolean {
  return !ending && (state === "working" || state === "invalid");
}

function unproven(life: Life, event: LifeEvent): Step {
  if (event.type === "proven") return to(life, "ready", ["offer"]);
  if (event.type === "leave") return end(life, "stopping", "stop", false);
  return { life, effects: [] };
}

function free(life: Life, event: LifeEvent): Step {
  switch (event.type) {
    case "take":
      return to(life, life.mark === undefined ? "working" : "invalid");
    case "mark": {
      if (life.mark !== undefined) return { life, effects: [] };
      return to({ ...life, mark: event.mark }, MARKED[event.mark]);
    }
    case "leave":
      return end(life, "stopping", "stop", false);
    default:
      return { life, effects: [] };
  }
}

function busy(life: Life, event: LifeEvent): Step {
  switch (event.type) {
    case "answered":
      if (life.leaving) return end(life, "stopping", "stop", false);
      if (event.last) return end(life, "maxJobsReached", "stop", true);
      return to(life, life.mark === undefined ? "ready" : MARKED[life.mark], ["offer"]);
    case "mark":
      return to({ ...life, mark: life.mark ?? event.mark }, "invalid");
    case "quit":
      return end(life, "invalid", "stop", true);
    case "overdue":
      return end(life, "execTTLReached", "terminate", true);
    case "leave":
      return to({ ...life, leaving: true }, "invalid");
    default:
      return { life, effects: [] };
  }
}

function ended(life: Life, event: LifeEvent): Step {
  if (event.type === "destroy" && life.state !== "errored" && life.state !== "stopped") {
    return to(life, "destroyed");
  }
  if (event.type !== "gone") return { life, effects: [] };
  const stays = life.state === "errored" || life.state === "destroyed";
  return to(life, stays ? life.state : "stopped");
}

function end(
  life: Life,
  state: WorkerState,
  way: "stop" | "terminate" | "kill",
  byItself: boolean,
): Step {
  const effects: Effect[] = [];
  if (isFree(life)) effects.push("withdraw");
  if (byItself && !life.leaving && life.state !== "inactive") effects.push("part");
  effects.push(way);
  return { life: { ...life, state, ending: true }, effects };
}

function to(life: Life, state: WorkerState, effects: Effect[] = []): Step {
  return { life: { ...life, state }, effects };
}
