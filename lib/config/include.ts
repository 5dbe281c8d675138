/**
 * The file and what it includes, laid over each other.
 *
 * `include` names one file or a list, relative to the file that says so. Included files are laid over
 * it in order (later wins), maps key by key, everything else replaced; they may include others.
 *
 * Invariant: every file is read once per place that names it, no chain of includes runs in a circle,
 * and each node still knows its own file.
 */

import { isAbsolute, join, normalize, resolve } from "@std/path";
import { type Env, expandText } from "./expand.ts";
import { readText } from "./file.ts";
import { error, type Problem } from "./problem.ts";
import { find, merge, type Node, type Path, type Source, type Table } from "./tree.ts";
import { parseYaml } from "./yaml.ts";

/** Files one configuration may consist of. */
const MAX_FILES = 64;

/** What was read. `root` is missing when the main file could not be read as YAML. */
export interface Loaded {
  root?: Table;
  problems: Problem[];
  /** The main file's text, also when it is not YAML. */
  source: Source;
  /** The main file could not be read at all. */
  unreadable: boolean;
}

/** Reads `file` with its includes. `env`: for expansion in the names of included files. */
export async function load(file: string, env: Env): Promise<Loaded> {
  const loader = new Loader(env);
  const read = readText(file);
  if (!("source" in read)) {
    const source: Source = { kind: "file", name: file, dir: ".", text: "", order: 0 };
    const at = { source, offset: 0, length: 0 };
    return { problems: [{ ...error([], read.message, read.fix), at }], source, unreadable: true };
  }
  const root = await loader.parse(read.source, [real(file)]);
  return { root, problems: loader.problems, source: read.source, unreadable: false };
}

class Loader {
  readonly problems: Problem[] = [];
  #files = 0;

  constructor(readonly env: Env) {}

  /** The tree of one text with its includes laid over it. `chain`: real paths down to it. */
  async parse(source: Source, chain: readonly string[]): Promise<Table | undefined> {
    const { root, problems } = await parseYaml(source);
    this.problems.push(...problems.map((problem) => ({ source, ...problem })));
    if (root === undefined) return undefined;
    if (root.kind !== "table") {
      const empty = root.kind === "scalar" && root.value === null;
      const message = empty ? "the file is empty" : "the file must be a map of keys and values";
      const fix = "begin with `processes:` and a process below it";
      const at = empty ? { source, offset: 0, length: 0 } : undefined;
      this.problems.push({ ...error([], message, fix), source, at });
      return undefined;
    }
    let result: Table = { ...root, entries: new Map(root.entries) };
    const include = root.entries.get("include");
    result.entries.delete("include");
    for (const [path, name] of this.#names(include, source)) {
      const over = await this.#included(name, path, source, chain);
      if (over !== undefined) result = merge(result, over) as Table;
    }
    return result;
  }

  /** The names under `include`, expanded, each with its place. */
  #names(include: Node | undefined, source: Source): [Path, string][] {
    if (include === undefined || (include.kind === "scalar" && include.value === null)) return [];
    const items = include.kind === "list" ? include.items : [include];
    return items.flatMap((item, i): [Path, string][] => {
      const path = include.kind === "list" ? ["include", String(i)] : ["include"];
      if (item.kind !== "scalar" || item.text === "") {
        const fix = "write a file name, or a list of file names";
        this.problems.push({ ...error(path, "include must name files", fix), source });
        return [];
      }
      const expanded = expandText(item.text, this.env, false);
      for (const { part, message, fix } of expanded.problems) {
        this.problems.push({ ...error(path, message, fix, { text: part }), source });
      }
      return expanded.problems.length > 0 ? [] : [[path, expanded.text]];
    });
  }

  async #included(
    name: string,
    path: Path,
    source: Source,
    chain: readonly string[],
  ): Promise<Table | undefined> {
    const complain = (message: string, fix: string) => {
      this.problems.push({ ...error(path, message, fix), source });
      return undefined;
    };
    const file = isAbsolute(name) ? name : resolve(source.dir, name);
    if (chain.includes(real(file))) {
      const circle = [...chain.slice(chain.indexOf(real(file))), real(file)].map(short).join(" → ");
      return complain(`this include runs in a circle: ${circle}`, "remove one of the includes");
    }
    if (++this.#files >= MAX_FILES) {
      return complain(`more than ${MAX_FILES} files are included`, "include fewer files");
    }
    const read = readText(file, shownName(source, name), this.#files);
    if (!("source" in read)) return complain(`cannot include ${name}: ${read.message}`, read.fix);
    return await this.parse(read.source, [...chain, real(file)]);
  }
}

/** How an included file is called: as its includer was, with the name put beside it. */
function shownName(source: Source, name: string): string {
  if (isAbsolute(name)) return name;
  const slash = source.name.lastIndexOf("/");
  return slash < 0 ? normalize(name) : join(source.name.slice(0, slash), name);
}

function short(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The path without symlinks; as given when it does not exist (reading it will say so). */
function real(file: string): string {
  try {
    return Deno.realPathSync(file);
  } catch {
    return resolve(file);
  }
}

/** The directory relative paths at `path` count from. */
export function dirAt(root: Node, path: Path): string {
  return (find(root, path) ?? root).source.dir;
}
