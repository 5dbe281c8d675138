/**
 * Keeps what is made from the tables of the program in step with them: from the configuration's
 * schema `schema/supervisor.schema.json` for editors and the tables of keys in
 * `docs/configuration.md` and `docs/configuration/`; from the command table what is generated in
 * `docs/cli.md` and `docs/commands/`.
 *
 *     deno run -A scripts/schema.ts --write     writes them
 *     deno run -A scripts/schema.ts --check     exits 1 and names what is out of step
 *
 * Invariant: none is ever edited by hand; a page of a section or command that is gone is an error.
 */

import { join } from "@std/path";
import { jsonSchema } from "../lib/config/mod.ts";
import { sections } from "../plugins/registry.ts";
import { commandPages } from "./lib/command_pages.ts";
import { configPages } from "./lib/config_pages.ts";
import { pageNow } from "./lib/pages.ts";
import { filesBelow, ROOT } from "./lib/project.ts";

/** A text that is made, and where it stands. */
export interface Generated {
  /** Path from the top of the repository. */
  file: string;
  text: string;
}

/** Folders that hold nothing but made pages. */
const FOLDERS = ["docs/commands", "docs/configuration"];

/** Everything this script keeps, as it should be now. */
export function generated(): Generated[] {
  const schema = JSON.stringify(jsonSchema(sections()), null, 2) + "\n";
  const pages = [...commandPages(), ...configPages()];
  return [
    { file: "schema/supervisor.schema.json", text: schema },
    ...pages.map((page) => ({ file: page.file, text: pageNow(page) })),
  ];
}

/** What is not as it should be. */
export function outOfStep(all: Generated[]): Generated[] {
  return all.filter(({ file, text }) => {
    try {
      return Deno.readTextFileSync(join(ROOT, file)) !== text;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return true;
      throw error;
    }
  });
}

/** Pages of sections and commands that there are no more, by path from the top. */
export function leftOver(all: Generated[]): string[] {
  const known = new Set(all.map(({ file }) => file));
  return FOLDERS.flatMap((folder) => filesBelow(join(ROOT, folder)))
    .map((file) => file.slice(ROOT.length + 1))
    .filter((file) => !known.has(file));
}

function main(write: boolean): number {
  const all = generated();
  const stale = outOfStep(all);
  for (const { file, text } of stale) {
    if (write) Deno.writeTextFileSync(join(ROOT, file), text);
    console.error(`${write ? "written" : "out of step"}: ${file}`);
  }
  const gone = leftOver(all);
  for (const file of gone) console.error(`${file} is about something that is gone: remove it`);
  if (!write && stale.length > 0) console.error("fix: run `deno task schema`");
  return gone.length > 0 || (!write && stale.length > 0) ? 1 : 0;
}

if (import.meta.main) Deno.exit(main(Deno.args.includes("--write")));
