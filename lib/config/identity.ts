/**
 * The three keys that say which daemon is meant: `application`, `control`, `state_dir`.
 *
 * Commands that talk to a daemon need them and nothing else, at three in the morning, with a file
 * that somebody is in the middle of editing. So this reader shares files, expansion and overrides with
 * `read`, but looks away from every mistake outside the three keys: when the file is not YAML at all,
 * the lines of these keys are read alone.
 *
 * Invariant: fails only when the file cannot be read, or when one of the three keys itself cannot be
 * understood.
 */

import { dirname, isAbsolute, join, resolve } from "@std/path";
import { Exit, Failure } from "../core/failure.ts";
import { applicationFrom, readApplication, readMode, Refusal } from "./names.ts";
import type { ControlIdentity } from "./config.ts";
import { CONTROL_MODE } from "./defaults.ts";
import { loadDotenv } from "./dotenv.ts";
import { type Env, expandTree } from "./expand.ts";
import { dirAt, load } from "./include.ts";
import { applyOverrides } from "./override.ts";
import { type Problem, renderProblems } from "./problem.ts";
import type { ReadRequest } from "./read.ts";
import { find, type Node, type Path, type Source, type Table } from "./tree.ts";
import { parseYaml } from "./yaml.ts";

const KEYS = ["application", "control", "state_dir"] as const;

/** What to do when even these keys cannot be read. */
const WAY_AROUND = "name the daemon's socket with --socket PATH";
const WAY_OUT = `correct it, or ${WAY_AROUND}`;

/**
 * Reads which daemon a configuration file belongs to.
 *
 * @throws Failure (exit 3) when the file cannot be read, or one of the three keys not understood
 */
export async function readIdentity(request: ReadRequest): Promise<ControlIdentity> {
  const dotenv = request.dotenv === undefined ? {} : loadDotenv(request.dotenv).vars;
  const env: Env = { ...dotenv, ...request.env };
  const file = resolve(request.file);
  const dir = dirname(file);
  const root = await threeKeys(request, env, dir);

  const problems: Problem[] = [];
  const expanded = expandTree(root, env, () => false, problems) ?? root;
  if (problems.length > 0) await fail(problems, root);
  const text = (path: Path) => textAt(expanded, path);
  const absolute = (path: Path) => {
    const written = text(path);
    return written === undefined || isAbsolute(written)
      ? written
      : join(dirAt(root, path), written);
  };

  const name = text(["application"]);
  const application = name === undefined
    ? applicationFrom(dir.split("/").at(-1)!)
    : readApplication(name);
  if (application instanceof Refusal) {
    throw new Failure(`application in ${request.file} ${application.message}`, {
      exit: Exit.config,
      fix: WAY_OUT,
    });
  }
  const mode = readMode(text(["control", "mode"]) ?? "");
  return {
    file,
    dir,
    application,
    state_dir: absolute(["state_dir"]),
    control: {
      socket: absolute(["control", "socket"]),
      // A bad mode matters to the daemon that opens the socket, not to those who connect.
      mode: mode instanceof Refusal ? CONTROL_MODE : mode,
      owner: text(["control", "owner"]),
      group: text(["control", "group"]),
    },
  };
}

/** A tree of the three keys only, from a file in any state. */
async function threeKeys(request: ReadRequest, env: Env, dir: string): Promise<Table> {
  const loaded = await load(request.file, env);
  if (loaded.unreadable) await fail(loaded.problems, undefined);
  const root = loaded.root ?? await fromLines(loaded.source);
  const overridden = await applyOverrides(root, request.overrides ?? [], dir, []);
  const entries = new Map<string, Node>();
  for (const key of KEYS) {
    const node = find(overridden, [key]);
    if (node !== undefined) entries.set(key, node);
  }
  return { kind: "table", entries, source: loaded.source };
}

/** The three keys from a text that is not YAML: each key's own lines, read as YAML by themselves. */
async function fromLines(source: Source): Promise<Table> {
  const entries = new Map<string, Node>();
  for (const key of KEYS) {
    const start = new RegExp(
      `^${key}\\s*:.*(?:\\r?\\n(?:[ \\t].*|[ \\t]*(?:#.*)?|\\}\\s*)$)*`,
      "m",
    );
    const lines = start.exec(source.text)?.[0];
    if (lines === undefined) continue;
    const { root } = await parseYaml({ ...source, text: lines });
    const node = find(root, [key]);
    if (node !== undefined) {
      entries.set(key, node);
      continue;
    }
    throw new Failure(`${key} in ${source.name} cannot be read as YAML`, {
      exit: Exit.config,
      fix: WAY_OUT,
    });
  }
  return { kind: "table", entries, source };
}

/** The text of a scalar; what is no scalar cannot name anything and counts as not written. */
function textAt(root: Node, path: Path): string | undefined {
  const node = find(root, path);
  if (node?.kind !== "scalar" || node.value === null || node.text === "") return undefined;
  return node.text;
}

async function fail(problems: Problem[], root: Node | undefined): Promise<never> {
  const { locate } = await import("./locate.ts");
  const message = renderProblems(locate(problems, root));
  // Each of them says how to correct it.
  throw new Failure(message, { exit: Exit.config, fix: WAY_AROUND });
}
