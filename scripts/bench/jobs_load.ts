/**
 * Pushes jobs over RPC as PHP's client does, in protobuf, and waits until none is left.
 *
 * Invariant: a push counts when the server has said that it is stored; a refused one ends the
 * measurement.
 */

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { pause } from "../../tests/kit/wait.ts";
import { Client, ERROR, PROTO } from "../../tests/unit/goridge/rpc_kit.ts";
import type { PipelineState } from "../../plugins/jobs/states.ts";

/** The pipeline of all measurements. */
export const PIPELINE = "bench";
/** Bytes of a payload. */
const PAYLOAD = 100;
const FIELD = { delimited: 2, varint: 0 };
/** Between two questions how many jobs are left, ms. */
const ASK_EVERY = 20;
/** Jobs that do not become fewer for so long never will, ms. */
const STUCK = 30_000;

const payload = crypto.getRandomValues(new Uint8Array(PAYLOAD));
let pushed = 0;

function writeJob(writer: BinaryWriter, field: number): void {
  writer.tag(field, FIELD.delimited).fork();
  writer.tag(1, FIELD.delimited).string("bench");
  writer.tag(2, FIELD.delimited).string(`bench-${++pushed}`);
  writer.tag(3, FIELD.delimited).bytes(payload);
  writer.tag(5, FIELD.delimited).fork();
  writer.tag(1, FIELD.varint).int64(10);
  writer.tag(2, FIELD.delimited).string(PIPELINE);
  writer.join();
  writer.join();
}

/** A call of so many jobs. */
function callOf(count: number): [method: string, argument: Uint8Array] {
  const writer = new BinaryWriter();
  for (let i = 0; i < count; i++) writeJob(writer, 1);
  return [count === 1 ? "jobs.Push" : "jobs.PushBatch", writer.finish()];
}

/** How jobs are pushed. */
export interface Pushing {
  jobs: number;
  /** Jobs in one call. */
  batch: number;
  /** Clients side by side. */
  clients: number;
}

/** Pushes. @returns jobs per second */
export async function push(address: string, { jobs, batch, clients }: Pushing): Promise<number> {
  const all = await Promise.all(Array.from({ length: clients }, () => Client.to(address)));
  let left = jobs;
  const begin = performance.now();
  try {
    await Promise.all(all.map(async (client) => {
      while (left > 0) {
        const count = Math.min(batch, left);
        left -= count;
        const [method, argument] = callOf(count);
        const reply = await client.call(method, argument, PROTO);
        if (reply.flags & ERROR) throw new Error(reply.text);
      }
    }));
  } finally {
    for (const client of all) client[Symbol.dispose]();
  }
  return jobs / (performance.now() - begin) * 1000;
}

/** Asks for the numbers of the pipeline. */
export async function stat(client: Client): Promise<PipelineState> {
  const reply = await client.call("jobs.Stat", "{}");
  if (reply.flags & ERROR) throw new Error(reply.text);
  return JSON.parse(reply.text).stats[0];
}

/** Waits until at most `jobs` are left, waiting or with a worker. @throws Error when it sticks */
export async function until(address: string, jobs = 0): Promise<void> {
  using client = await Client.to(address);
  let least = Infinity;
  let end = Infinity;
  for (;;) {
    const { active, delayed, reserved, error_message } = await stat(client);
    // Its numbers are 0 then.
    if (error_message) throw new Error(error_message);
    const left = Number(active ?? 0) + Number(delayed ?? 0) + Number(reserved ?? 0);
    if (left <= jobs) return;
    if (left < least) [least, end] = [left, performance.now() + STUCK];
    if (performance.now() > end) throw new Error(`${left} jobs are left, and nobody does them`);
    await pause(ASK_EVERY);
  }
}
