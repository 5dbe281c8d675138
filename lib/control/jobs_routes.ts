/**
 * The routes of the pipelines of jobs: a part of the table in routes.ts.
 *
 * Invariant: as routes.ts.
 */

import type {
  DeadQuery,
  FlowRequest,
  LetterQuery,
  LettersRequest,
  PipelinesQuery,
  PushRequest,
} from "./jobs.ts";
import { MAX_PUSH_BODY, MAX_PUSHED } from "./jobs.ts";
import type { Fields } from "./request.ts";
import type { Route } from "./routes.ts";

/** Most dead letters of one answer. */
const MAX_LETTERS = 1000;

/** Longest delay, milliseconds: a year. */
const MAX_DELAY = 365 * 24 * 3600 * 1000;

const MAX_PRIORITY = 0x7fff_ffff;

const PIPELINE: Fields = { pipeline: { kind: "text", required: true } };

const LETTERS: Fields = {
  pipeline: { kind: "text" },
  id: { kind: "text" },
  all: { kind: "flag" },
};

/** In the order of the documentation. */
export const JOBS_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/jobs",
    fields: { pipeline: { kind: "text" } },
    run: ({ operations, input }) => operations.jobs.pipelines(input as PipelinesQuery),
  },
  {
    method: "POST",
    path: "/v1/jobs/push",
    fields: {
      ...PIPELINE,
      job: { kind: "text", required: true },
      payload: { kind: "data" },
      payload_base64: { kind: "base64" },
      headers: { kind: "headers" },
      delay_ms: { kind: "count", max: MAX_DELAY },
      priority: { kind: "count", max: MAX_PRIORITY },
      id: { kind: "text" },
      unique: { kind: "text" },
      auto_ack: { kind: "flag" },
    },
    body: MAX_PUSH_BODY,
    run: ({ operations, input }) => operations.jobs.push(input as PushRequest),
  },
  {
    method: "POST",
    path: "/v1/jobs/pause",
    fields: PIPELINE,
    run: ({ operations, input }) => operations.jobs.pause(input as FlowRequest),
  },
  {
    method: "POST",
    path: "/v1/jobs/resume",
    fields: PIPELINE,
    run: ({ operations, input }) => operations.jobs.resume(input as FlowRequest),
  },
  {
    method: "GET",
    path: "/v1/jobs/dead",
    fields: {
      ...PIPELINE,
      lines: { kind: "count", max: MAX_LETTERS },
      after: { kind: "text" },
    },
    run: ({ operations, input }) => operations.jobs.dead(input as DeadQuery),
  },
  {
    method: "GET",
    path: "/v1/jobs/dead/letter",
    fields: {
      ...PIPELINE,
      id: { kind: "text", required: true },
      bytes: { kind: "count", max: MAX_PUSHED },
    },
    run: ({ operations, input }) => operations.jobs.letter(input as LetterQuery),
  },
  {
    method: "POST",
    path: "/v1/jobs/retry",
    fields: LETTERS,
    run: ({ operations, input }) => operations.jobs.retry(input as LettersRequest),
  },
  {
    method: "POST",
    path: "/v1/jobs/drop",
    fields: LETTERS,
    run: ({ operations, input }) => operations.jobs.drop(input as LettersRequest),
  },
];
