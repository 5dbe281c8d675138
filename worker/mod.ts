/**
 * Workers for `supervisor`, or for RoadRunner, on Deno and Node: see docs/worker-kit.md.
 *
 *   import { serve } from "./worker/mod.ts";
 *   serve((request) => new Response(`Hello from ${new URL(request.url).pathname}`));
 *
 * Invariant: no dependency and no syntax that has to be compiled away (only types are). When started
 * as a worker over pipes, standard output is taken at once, so that nothing printed while the
 * application boots is taken for a frame.
 */

import process from "node:process";
import { isPipes } from "./relay.ts";
import { takeStdout } from "./stdout.ts";

export { type HttpContext, type HttpHandler, serve, type ServeOptions } from "./http/serve.ts";
export type { Tree, Upload } from "./http/head.ts";
export { type Job, type JobHandler, type JobHeaders, jobs } from "./jobs.ts";
export type { NackOptions, RequeueOptions } from "./jobs.ts";
export { tcp, type TcpAnswer, type TcpEvent, type TcpHandler } from "./tcp.ts";
export { mode, type WorkerOptions } from "./run.ts";
export { ReplaceWorker } from "./turn.ts";

if (isPipes(process.env.RR_RELAY ?? "")) takeStdout();
