/**
 * The pipelines of jobs, as the command line asks for them: a part of the client of the control API.
 *
 * Invariant: as client.ts; what works through many dead letters may take as long as it takes.
 */

import type {
  DeadLetters,
  DeadQuery,
  FlowRequest,
  FlowResult,
  JobsOperations,
  Letter,
  LetterQuery,
  LettersRequest,
  LettersResult,
  Pipelines,
  PipelinesQuery,
  PushRequest,
  PushResult,
} from "./jobs.ts";

/** Sends one request. `limit`: how long its answer may take, milliseconds. */
export type Ask = <T>(
  method: "GET" | "POST",
  route: string,
  body?: unknown,
  limit?: number,
) => Promise<T>;

/** How long a look at the pipelines may take: they ask their drivers, milliseconds. */
const LOOK_TIME = 15_000;

/** See the file's comment. */
export class JobsClient implements JobsOperations {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  pipelines(query: PipelinesQuery): Promise<Pipelines> {
    return this.#ask("GET", `jobs${search(query)}`, undefined, LOOK_TIME);
  }

  push(request: PushRequest): Promise<PushResult> {
    return this.#ask("POST", "jobs/push", request);
  }

  pause(request: FlowRequest): Promise<FlowResult> {
    return this.#ask("POST", "jobs/pause", request);
  }

  resume(request: FlowRequest): Promise<FlowResult> {
    return this.#ask("POST", "jobs/resume", request);
  }

  dead(query: DeadQuery): Promise<DeadLetters> {
    return this.#ask("GET", `jobs/dead${search(query)}`, undefined, LOOK_TIME);
  }

  letter(query: LetterQuery): Promise<Letter> {
    return this.#ask("GET", `jobs/dead/letter${search(query)}`);
  }

  retry(request: LettersRequest): Promise<LettersResult> {
    return this.#ask("POST", "jobs/retry", request);
  }

  drop(request: LettersRequest): Promise<LettersResult> {
    return this.#ask("POST", "jobs/drop", request);
  }
}

function search(query: object): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? "" : `?${text}`;
}
