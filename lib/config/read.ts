/**
 * The configuration, from file to Config, with every complaint of one run.
 *
 * | step                   | a mistake there                                   |
 * | ---------------------- | ------------------------------------------------- |
 * | read, parse, include   | in the main file: ends here; in others: goes on   |
 * | `-o`                   | that override is not applied                      |
 * | expand `${…}`          | that value counts as written, but unknown         |
 * | schema                 | that value counts as written, but unknown         |
 * | rules between keys     | –                                                 |
 * | rules of sections      | only run when there was no mistake before         |
 *
 * Invariant: `config` is there exactly when no problem is an error; junk of any kind ends in
 * problems, never in another exception.
 */

import { dirname, resolve } from "@std/path";
import { Exit, Failure } from "../core/failure.ts";
import { buildConfig, defaultApplication, type Place } from "./build.ts";
import type { Config } from "./config.ts";
import { loadDotenv } from "./dotenv.ts";
import { withoutEffect } from "./no_effect.ts";
import { type Env, expandTree } from "./expand.ts";
import { unknownKey } from "./explain.ts";
import { dirAt, load } from "./include.ts";
import { applyOverrides } from "./override.ts";
import {
  type Diagnostic,
  error,
  MAX_PROBLEMS,
  placeOf,
  type Problem,
  renderProblems,
  warning,
} from "./problem.ts";
import { checkRules } from "./rules/all.ts";
import { fileSchema } from "./schema/file.ts";
import { type SectionPlace, type SectionSchema, unsupported } from "./sections.ts";
import { find, type Node, type Path, type Table } from "./tree.ts";
import { validate } from "./validate.ts";

/** Where the configuration comes from. */
export interface ReadRequest {
  /** Path of the main file, as it shall be shown in messages. */
  file: string;
  /** The environment: wins over dotenv. */
  env: Readonly<Record<string, string>>;
  /** `key.path=value` each, in order. */
  overrides?: readonly string[];
  /** Path of a dotenv file. */
  dotenv?: string;
  /** Logical processors of the machine, as a default; undefined: asked for. */
  cores?: number;
}

/** What came of it. */
export interface ReadResult {
  /** Only when there is no error. */
  config?: Config;
  /** Errors and warnings in the order of files and lines. */
  problems: Diagnostic[];
  /** The application's name, when it could be made out. */
  application?: string;
}

/** Sections of plugins by name. */
export type Sections = ReadonlyMap<string, SectionSchema>;

/** Reads, checks and completes a configuration. */
export async function read(request: ReadRequest, sections: Sections): Promise<ReadResult> {
  const problems: Problem[] = [];
  const { env, problems: dotenvProblems } = environment(request);
  problems.push(...dotenvProblems);
  const loaded = await load(request.file, env);
  problems.push(...loaded.problems);
  if (loaded.root === undefined) return { problems: await placed(problems, undefined) };
  const dir = dirname(resolve(request.file));
  const root = await applyOverrides(loaded.root, request.overrides ?? [], dir, problems);
  const place = {
    file: resolve(request.file),
    dir,
    dirAt: (path: Path) => dirAt(root, path),
    cores: request.cores ?? navigator.hardwareConcurrency,
    tmp: env.TMPDIR || "/tmp",
  };
  const config = check(root, env, sections, place, problems);
  const result = {
    problems: await placed(problems, root),
    application: config?.application ?? defaultApplication(dir),
  };
  if (config === undefined || problems.some(isError)) return result;
  const warnings = result.problems.map((problem) => `${placeOf(problem)}: ${problem.message}`);
  return { ...result, config: { ...config, warnings } };
}

/**
 * As {@linkcode read}, for callers that need a Config or nothing.
 *
 * @throws Failure (exit 3) whose message is the rendered problems and whose detail has them as data
 */
export async function readOrFail(request: ReadRequest, sections: Sections): Promise<Config> {
  const { config, problems } = await read(request, sections);
  if (config !== undefined) return config;
  throw new Failure(renderProblems(problems), { exit: Exit.config, detail: { problems } });
}

/** The environment of a request: dotenv below what is really set. */
export function environment(request: ReadRequest): { env: Env; problems: Problem[] } {
  if (request.dotenv === undefined) return { env: request.env, problems: [] };
  const { vars, problems } = loadDotenv(request.dotenv);
  return { env: { ...vars, ...request.env }, problems };
}

/** Expansion, schema and rules. What it returns is for use only when nothing was an error. */
function check(
  root: Table,
  env: Env,
  sections: Sections,
  place: Place & Machine,
  problems: Problem[],
): Config | undefined {
  // Sections that nobody reads are not expanded: their variables need not be set.
  const isRead = ([name]: [string, Node]) => FILE_KEYS.includes(name) || sections.has(name);
  const taken = { ...root, entries: new Map([...root.entries].filter(isRead)) };
  const bare = ([name]: Path) => sections.get(name)?.roadrunner ?? false;
  const expanded = expandTree(taken, env, bare, problems) as Table;
  for (const name of root.entries.keys()) problems.push(...unread(name, sections));
  const own = new Map<string, Node>();
  const values: Record<string, unknown> = {};
  for (const [name, node] of expanded.entries) {
    const section = sections.get(name);
    if (section === undefined) own.set(name, node);
    else checkSection({ name, node, place }, section, values, problems);
  }
  const checked = validate(fileSchema, { ...expanded, entries: own });
  // What could not be expanded is written, so it is not missing.
  const isUnknown = ({ path }: Problem) =>
    find(expanded, path) === undefined && find(root, path) !== undefined;
  problems.push(...checked.problems.filter((problem) => !isUnknown(problem)));
  if (checked.value === undefined) return undefined;
  if (problems.length > MAX_PROBLEMS) return undefined;
  const config = buildConfig(checked.value, values, place);
  const declared = ["processes", ...(sections.has("service") ? ["service"] : [])]
    .flatMap((name) => keysOf(find(root, [name])));
  const broken = problems.filter(isError).map(({ path }) => path);
  problems.push(...checkRules({ config, written: root, declared, broken }));
  if (!problems.some(isError)) problems.push(...ownRules(config, sections));
  return config;
}

const FILE_KEYS = Object.keys(fileSchema.shape);

/** What to say about a top-level key that nobody reads. */
function unread(name: string, sections: Sections): Problem[] {
  // Free keys: a place for anchors.
  if (FILE_KEYS.includes(name) || sections.has(name) || name.startsWith("x-")) return [];
  const refused = unsupported(name);
  if (refused !== undefined) return [{ ...refused, path: [name], spot: "key" }];
  return [unknownKey([name], [...FILE_KEYS, ...sections.keys()])];
}

/** What defaults of sections depend on besides the file. */
type Machine = Pick<SectionPlace, "cores" | "tmp">;

/** A section of its own schema. */
function checkSection(
  { name, node, place }: { name: string; node: Node; place: Place & Machine },
  section: SectionSchema,
  values: Record<string, unknown>,
  problems: Problem[],
): void {
  // A section that is only named wants its defaults.
  const empty = node.kind === "scalar" && node.value === null;
  const written: Node = empty ? { ...node, kind: "table", entries: new Map() } : node;
  const { value, problems: found } = validate(section.schema, written, [name]);
  problems.push(...found, ...withoutEffect(section.schema, written, [name]));
  if (value === undefined || section.complete === undefined) values[name] = value;
  else values[name] = section.complete(value, placeOfSection(name, place));
}

function placeOfSection(name: string, { cores, tmp, dirAt }: Place & Machine): SectionPlace {
  const absolute = (path: string, at: Path) => resolve(dirAt([name, ...at]), path);
  return { absolute, cores, tmp };
}

function ownRules(config: Config, sections: Sections): Problem[] {
  return Object.entries(config.sections).flatMap(([name, value]) =>
    (sections.get(name)?.check?.(value, config) ?? []).map((problem): Problem => {
      const path = [name, ...problem.path];
      const make = problem.severity === "error" ? error : warning;
      return make(path, problem.message, problem.fix, problem.spot);
    })
  );
}

function keysOf(node: Node | undefined): string[] {
  return node?.kind === "table" ? [...node.entries.keys()] : [];
}

function isError({ severity }: { severity: string }): boolean {
  return severity === "error";
}

/** Positions cost a second parser, which only files with problems pay for. */
async function placed(problems: readonly Problem[], root: Node | undefined): Promise<Diagnostic[]> {
  if (problems.length === 0) return [];
  const { locate } = await import("./locate.ts");
  return locate(problems, root);
}
