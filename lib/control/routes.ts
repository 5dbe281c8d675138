/**
 * Every route of the control API: one table from method and path to an operation.
 *
 * Invariant: what a route accepts stands here and nowhere else; the app, the documentation's check
 * and "did you mean" all read this table.
 */

import type {
  DeployRequest,
  EventsQuery,
  ExplainQuery,
  LogsQuery,
  Operations,
  ResetRequest,
  RestartRequest,
  RollbackRequest,
  ScaleRequest,
  StopRequest,
  WorkersQuery,
} from "./operations.ts";
import { JOBS_ROUTES } from "./jobs_routes.ts";
import type { Fields } from "./request.ts";
import { progress, records, type StreamHost } from "./stream.ts";

/** Most records or lines that can be asked for at once. */
const MAX_RECORDS = 1_000_000;

/** Most copies of a process, or workers of a pool. */
const MAX_COPIES = 1000;

/** What a handler works with. */
export interface Call {
  operations: Operations;
  /** The checked body (POST) or query (GET). */
  // deno-lint-ignore no-explicit-any -- its type is what the route's fields say
  input: any;
  stream: StreamHost;
}

/** One route. A handler's plain value is sent as JSON. */
export interface Route {
  method: "GET" | "POST";
  path: string;
  fields: Fields;
  /** Answers lines for as long as the reader likes when asked to `follow`. */
  follows?: boolean;
  /** Longest body, bytes, where it is another than that of all routes. */
  body?: number;
  run(call: Call): Response | Promise<unknown> | unknown;
}

const NOTHING: Fields = {};

const release: Fields = { release_id: { kind: "text" }, wait: { kind: "flag" } };

/** All routes, in the order of the documentation. */
export const ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/health",
    fields: NOTHING,
    run: ({ operations }) => operations.health(),
  },
  {
    method: "GET",
    path: "/v1/status",
    fields: NOTHING,
    run: ({ operations }) => operations.status(),
  },
  {
    method: "POST",
    path: "/v1/deploy",
    fields: {
      release_path: { kind: "path", required: true },
      revision: { kind: "text" },
      ...release,
    },
    run: ({ operations, input, stream }) =>
      progress(
        stream,
        (tell) => operations.deploy(input as DeployRequest, tell, stream.closing),
      ),
  },
  {
    method: "POST",
    path: "/v1/rollback",
    fields: release,
    run: ({ operations, input, stream }) =>
      progress(
        stream,
        (tell) => operations.rollback(input as RollbackRequest, tell, stream.closing),
      ),
  },
  {
    method: "POST",
    path: "/v1/restart",
    fields: {
      process: { kind: "text" },
      policy: { kind: "text", values: ["proxied", "companion", "singleton", "service"] },
    },
    run: ({ operations, input }) => operations.restart(input as RestartRequest),
  },
  {
    method: "POST",
    path: "/v1/scale",
    fields: {
      name: { kind: "text", required: true },
      count: { kind: "count", required: true, max: MAX_COPIES },
    },
    run: ({ operations, input }) => operations.scale(input as ScaleRequest),
  },
  {
    method: "POST",
    path: "/v1/reset",
    fields: { plugin: { kind: "text" } },
    run: ({ operations, input }) => operations.reset(input as ResetRequest),
  },
  {
    method: "GET",
    path: "/v1/workers",
    fields: { plugin: { kind: "text" } },
    run: ({ operations, input }) => operations.workers(input as WorkersQuery),
  },
  {
    method: "POST",
    path: "/v1/stop",
    fields: { release_id: { kind: "text" }, now: { kind: "flag" } },
    run: ({ operations, input }) => operations.stop(input as StopRequest),
  },
  {
    method: "POST",
    path: "/v1/reload",
    fields: NOTHING,
    run: ({ operations }) => operations.reload(),
  },
  {
    method: "POST",
    path: "/v1/plan",
    fields: NOTHING,
    run: ({ operations }) => operations.plan(),
  },
  {
    method: "POST",
    path: "/v1/shutdown",
    fields: NOTHING,
    run: ({ operations }) => operations.shutdown(),
  },
  {
    method: "GET",
    path: "/v1/explain",
    fields: { name: { kind: "text", required: true } },
    run: ({ operations, input }) => operations.explain(input as ExplainQuery),
  },
  {
    method: "GET",
    path: "/v1/events",
    fields: {
      limit: { kind: "count", max: MAX_RECORDS },
      since: { kind: "count" },
      follow: { kind: "flag" },
    },
    follows: true,
    run: ({ operations, input, stream }) =>
      records(stream, (signal) => operations.events(input as EventsQuery, signal)),
  },
  {
    method: "GET",
    path: "/v1/logs",
    fields: {
      process: { kind: "text" },
      lines: { kind: "count", max: MAX_RECORDS },
      since: { kind: "count" },
      grep: { kind: "text" },
      follow: { kind: "flag" },
    },
    follows: true,
    run: ({ operations, input, stream }) =>
      records(stream, (signal) => operations.logs(input as LogsQuery, signal)),
  },
  ...JOBS_ROUTES,
];
