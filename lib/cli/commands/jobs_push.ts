/** `jobs push`: a job into a pipeline. */

import { Exit, Failure } from "../../core/failure.ts";
import { CLIENT_EXITS, type Command } from "../command.ts";
import { PAYLOAD, payloadOf } from "../payload.ts";
import { harmless } from "../render/paint.ts";
import { PIPELINE } from "./jobs.ts";

export const jobsPush: Command = {
  name: "jobs push",
  about: "push a job into a pipeline, and print its id once it is stored",
  arguments: [
    { ...PIPELINE, about: "the pipeline that it goes into" },
    { name: "NAME", about: "what is to be done, as the worker knows it; usually a class name" },
  ],
  options: [
    ...PAYLOAD,
    {
      name: "header",
      kind: "list",
      value: "KEY=VALUE",
      about: "a header; may be repeated, also with the same key",
    },
    {
      name: "delay",
      kind: "duration",
      value: "TIME",
      about: "not before this time has passed: 10m",
    },
    {
      name: "priority",
      kind: "count",
      value: "N",
      about: "lower is served first (default: the pipeline's)",
    },
    { name: "id", kind: "text", value: "ID", about: "its id (default: a new one)" },
    {
      name: "unique",
      kind: "text",
      value: "KEY",
      about: "store it only if none with this key was pushed within the window of the pipeline",
    },
  ],
  exits: {
    ...CLIENT_EXITS,
    [Exit.failed]: "it could not be stored",
  },
  examples: [
    "supervisor jobs push mail App.Welcome",
    "supervisor jobs push mail App.Welcome --payload '{\"user\":7}'",
    "supervisor jobs push reports nightly --payload-file data.bin --delay 1h --header trace=4f2a",
  ],
  async run({ values, arguments: [pipeline, job], client, out }) {
    const headers = headersOf(values.list("header"));
    const payload = await payloadOf(values);
    const result = await (await client()).jobs.push({
      pipeline,
      job,
      payload_base64: payload.toBase64(),
      headers,
      delay_ms: values.duration("delay"),
      priority: values.count("priority"),
      id: values.text("id"),
      unique: values.text("unique"),
    });
    await out.result(result, () => `${harmless(result.id)}\n`);
    return Exit.done;
  },
};

function headersOf(given: readonly string[]): Record<string, string[]> {
  // A key may be any word, also one that every object has.
  const headers: Record<string, string[]> = Object.create(null);
  for (const word of given) {
    const at = word.indexOf("=");
    if (at < 1) {
      throw new Failure(`--header needs KEY=VALUE, not "${word}"`, {
        exit: Exit.usage,
        fix: "for example --header trace=4f2a",
      });
    }
    (headers[word.slice(0, at)] ??= []).push(word.slice(at + 1));
  }
  return headers;
}
