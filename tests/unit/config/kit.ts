/** Configurations from text, for tests: a scratch directory holds the files. */

import { join } from "@std/path";
import { read, type ReadRequest, type ReadResult, type Sections } from "../../../lib/config/mod.ts";
import type { Config } from "../../../lib/config/config.ts";
import { Scratch } from "../../kit/scratch.ts";

/** Writes `files` (the first is the main one, `supervisor.yaml` when given as text) and reads them. */
export async function readFiles(
  files: string | Record<string, string>,
  request: Partial<ReadRequest> = {},
  sections: Sections = new Map(),
): Promise<ReadResult & { dir: string }> {
  using scratch = new Scratch();
  const all = typeof files === "string" ? { "supervisor.yaml": files } : files;
  for (const [name, text] of Object.entries(all)) {
    const file = join(scratch.dir, name);
    Deno.mkdirSync(join(file, ".."), { recursive: true });
    Deno.writeTextFileSync(file, text);
  }
  const file = join(scratch.dir, Object.keys(all)[0]);
  const result = await read({ file, env: {}, ...request }, sections);
  return { ...result, dir: scratch.dir };
}

/** The Config of a text that has no error. */
export async function configOf(text: string, request: Partial<ReadRequest> = {}): Promise<Config> {
  const { config, problems } = await readFiles(text, request);
  if (config === undefined) throw new Error(problems.map(({ message }) => message).join("; "));
  return config;
}

/** The messages of a result, without places. */
export function messages({ problems }: Pick<ReadResult, "problems">): string[] {
  return problems.map(({ message }) => message);
}
