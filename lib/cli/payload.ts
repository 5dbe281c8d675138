/**
 * The payload of a job, from the command line, a file or the standard input.
 *
 * Invariant: bytes as they are; never more of a file is read than can be sent.
 */

import { MAX_PUSHED } from "../control/jobs.ts";
import { Exit, Failure } from "../core/failure.ts";
import { formatSize } from "../core/size.ts";
import { reasonOf } from "../os/reason.ts";
import type { Option, Values } from "./command.ts";

/** The options. */
export const PAYLOAD: readonly Option[] = [
  {
    name: "payload",
    kind: "text",
    value: "TEXT",
    about: "what the worker gets with the job (default: nothing)",
  },
  {
    name: "payload-file",
    kind: "path",
    value: "FILE",
    about: "the same from a file, bytes as they are; -: from the standard input",
  },
];

/** @throws Failure when both are given, it cannot be read, or it is too long */
export async function payloadOf(values: Values): Promise<Uint8Array> {
  const text = values.text("payload");
  const file = values.text("payload-file");
  if (text !== undefined && file !== undefined) {
    throw new Failure("--payload and --payload-file were both given", {
      exit: Exit.usage,
      fix: "a job has one payload: leave one of them out",
    });
  }
  if (file === undefined) return checked(new TextEncoder().encode(text ?? ""), "");
  return checked(await bytesOf(file), ` from ${file === "-" ? "the standard input" : `"${file}"`}`);
}

async function bytesOf(file: string): Promise<Uint8Array> {
  try {
    if (file === "-") return await beginning(Deno.stdin.readable);
    return await beginning((await Deno.open(file)).readable);
  } catch (error) {
    const name = file === "-" ? "the standard input" : `"${file}"`;
    throw new Failure(`cannot read the payload from ${name}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Up to one byte more than can be sent. */
async function beginning(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of stream) {
    parts.push(new Uint8Array(part));
    size += part.length;
    if (size > MAX_PUSHED) break;
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function checked(payload: Uint8Array, from: string): Uint8Array {
  if (payload.length <= MAX_PUSHED) return payload;
  const most = formatSize(MAX_PUSHED);
  throw new Failure(
    `the payload${from} is longer than ${most}, the most that goes through the control socket`,
    {
      exit: Exit.usage,
      fix: "push it through the RPC address (jobs.Push), or push where the worker finds it",
    },
  );
}
