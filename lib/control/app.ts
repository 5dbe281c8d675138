/**
 * The control API as a Hono app: the routes, what happens to a request that fits none, and bounds on
 * how much is done at once. It knows nothing of sockets.
 *
 * Invariant: every request gets a JSON answer (or JSON lines); nothing a client sends makes a
 * handler throw outwards; a bug is an event with its stack and an answer without one.
 */

import { Hono } from "hono";
import type { Clock } from "../core/clock.ts";
import { Exit, Failure, failureJson, messageOf } from "../core/failure.ts";
import { nearest } from "../core/suggest.ts";
import type { Emit } from "../telemetry/events.ts";
import { failed, json, Refusal } from "./answer.ts";
import type { Operations } from "./operations.ts";
import { readBody, readQuery } from "./request.ts";
import { type Route, ROUTES } from "./routes.ts";

/** What bounds the control API. Times in milliseconds. */
export interface ControlLimits {
  /** Requests worked on at once, followers included. */
  requests: number;
  /** Followers of events and logs at once. */
  followers: number;
  /** Bytes of a request body, for routes that do not say another. */
  body: number;
  /** From the head of a request to the end of its body. */
  bodyTime: number;
  /** A follower that takes nothing this long while something waits for it is cut. */
  stall: number;
  /** How often silent connections are looked for; one seen twice is closed. */
  sweep: number;
}

export const CONTROL_LIMITS: ControlLimits = {
  requests: 64,
  followers: 32,
  body: 1024 * 1024,
  bodyTime: 10_000,
  stall: 600_000,
  sweep: 30_000,
};

/** One request from its head to its last byte sent. */
export interface Visit {
  /** False once the answer is complete and only has to be sent. */
  working: boolean;
  /** Clock milliseconds of the head. */
  since: number;
  /** Aborted when the door it came through closes. */
  closing: AbortSignal;
  /** Sets `working` to false. */
  done(): void;
}

/** What the app needs. */
export interface AppOptions {
  operations: Operations;
  emit: Emit;
  clock: Clock;
  limits: ControlLimits;
  /** Called when a shutdown is done and its answer about to be sent. */
  onShutdown(): void;
}

/** Answers one request; never rejects. */
export type App = (request: Request, visit: Visit) => Promise<Response>;

/** The app with all routes. */
export function createApp(options: AppOptions): App {
  const { emit, limits } = options;
  const bound = { requests: 0, followers: 0 };
  const hono = new Hono<{ Bindings: { visit: Visit } }>();

  for (const route of ROUTES) {
    hono.on(route.method, route.path, async (context) => {
      const { visit } = context.env;
      const request = context.req.raw;
      // Hono answers HEAD by GET and drops the body, which would leave a follower's source open.
      if (request.method !== route.method) throw methodRefused(request.method, [route]);
      if (visit.closing.aborted) throw closingRefused();
      const input = route.method === "GET"
        ? readQuery<Record<string, unknown>>(new URL(request.url), route.fields)
        : await readBody<Record<string, unknown>>(
          request,
          route.fields,
          { body: route.body ?? limits.body, bodyTime: limits.bodyTime },
          options.clock,
        );
      const leave = enter(bound, limits, route, input.follow === true);
      const done = visit.done;
      visit.done = () => {
        leave();
        done();
      };
      const answer = await run(options, route, input, visit);
      if (answer instanceof Response) return answer;
      if (route.path === "/v1/shutdown") options.onShutdown();
      visit.done();
      return json(answer);
    });
  }

  hono.notFound((context) => {
    const { path, method } = context.req;
    const routes = ROUTES.filter((route) => route.path === path);
    const refusal = routes.length > 0 ? methodRefused(method, routes) : notFound(path);
    context.env.visit.done();
    return refuse(refusal);
  });

  hono.onError((error, context) => {
    context.env.visit.done();
    if (error instanceof Refusal) return refuse(error);
    const route = `${context.req.method} ${context.req.path}`;
    if (error instanceof Failure) emit("control_error", { error: error.message, route });
    else emit("internal_error", { where: route, error: messageOf(error), stack: error.stack });
    return failed(failureJson(error));
  });

  return async (request, visit) => await hono.fetch(request, { visit });
}

function run(options: AppOptions, route: Route, input: unknown, visit: Visit): unknown {
  const { operations, clock, limits, emit } = options;
  const where = `${route.method} ${route.path}`;
  const onBug = (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    emit("internal_error", { where, error: messageOf(error), stack });
  };
  const stream = {
    clock,
    closing: visit.closing,
    stall: limits.stall,
    onBug,
    onEnd: () => visit.done(),
  };
  return route.run({ operations, input, stream });
}

/** Counts a request in. @returns counts it out, once @throws Refusal when there are too many */
function enter(
  bound: { requests: number; followers: number },
  limits: ControlLimits,
  route: Route,
  follows: boolean,
): () => void {
  if (follows && bound.followers >= limits.followers) {
    const fix = "end one of those that follow events or logs";
    throw new Refusal(503, `there are ${limits.followers} followers already`, fix);
  }
  // Looking must stay possible however many wait for something.
  const looking = route.path === "/v1/health" || route.path === "/v1/status";
  if (!looking && bound.requests >= limits.requests) {
    throw new Refusal(503, `${limits.requests} requests are being worked on already`, "try later");
  }
  bound.requests++;
  if (follows) bound.followers++;
  let inside = true;
  return () => {
    if (!inside) return;
    inside = false;
    bound.requests--;
    if (follows) bound.followers--;
  };
}

function refuse(refusal: Refusal): Response {
  return json(refusal.json, refusal.status, refusal.headers);
}

function notFound(path: string): Refusal {
  const near = nearest(path, ROUTES.map((route) => route.path));
  const fix = near === undefined ? undefined : `did you mean ${near}?`;
  return new Refusal(404, `there is no "${path}" in the control API`, fix);
}

function methodRefused(method: string, routes: readonly Route[]): Refusal {
  const allowed = routes.map((route) => route.method).join(", ");
  const message = `${routes[0].path} does not take ${method}`;
  return new Refusal(405, message, `use ${allowed}`, { allow: allowed });
}

function closingRefused(): Refusal {
  return new Refusal(503, "the daemon is shutting down", undefined, {}, Exit.noDaemon);
}
