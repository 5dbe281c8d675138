/**
 * The floors of the source tree and the rules that hold between and on them.
 *
 * A file may import its own floor and every floor below, never a floor above; plugins do not know
 * each other. Type-only imports count for the floors, because who names a type knows the floor; they
 * do not count for circles, because nothing of them is left at run time and two files may well
 * describe halves of one thing.
 *
 * Invariant: pure; all findings of all files at once, each with file, line, what, why and what to do.
 */

import { dirname, join, normalize } from "@std/path";
import { findCircles } from "./circles.ts";
import { importsOf, type Token, tokens } from "./tokens.ts";

/** From the ground up. `plugins` is a floor of rooms without doors between them. */
export const FLOORS = [
  "lib/core",
  "lib/os",
  "lib/telemetry",
  "lib/config",
  "lib/process",
  "lib/goridge",
  "lib/pool",
  "lib/http",
  "lib/release",
  "plugins",
  "lib/control",
  "lib/daemon",
  "lib/cli",
  "main.ts",
];

const MOST_LINES = 400;

/** A broken rule. */
export interface Finding {
  file: string;
  line: number;
  /** What is so, why it must not be, what to do. */
  text: string;
}

/** Something only some floors may touch. */
interface Door {
  floors: string[];
  /** Called for every token; true: here it is touched. */
  touched: (found: Token[], at: number) => string | undefined;
  rule: string;
}

const OS_ONLY_MEMBERS = new Set([
  "Deno.Command",
  "Deno.kill",
  "Deno.addSignalListener",
  "Deno.removeSignalListener",
  "Deno.dlopen",
  "Date.now",
  "performance.now",
  "AbortSignal.timeout",
]);
const TIMERS = new Set(["setTimeout", "setInterval", "setImmediate"]);
const OS_ONLY_MODULES = /^node:(child_process|timers|timers\/promises|cluster)$/;

const DOORS: Door[] = [
  {
    floors: ["lib/os"],
    touched: (found, at) => OS_ONLY_MEMBERS.has(member(found, at)) ? member(found, at) : undefined,
    rule: "only lib/os touches processes, signals, libraries and clocks; take a System or a Clock",
  },
  {
    floors: ["lib/os"],
    touched: (found, at) =>
      found[at].kind === "name" && TIMERS.has(found[at].text) && isGlobal(found, at)
        ? found[at].text
        : undefined,
    rule: "only lib/os sets timers; take a Clock and use its timer()",
  },
  {
    floors: ["lib/os"],
    touched: (found, at) => {
      if (found[at].text !== "Date" || !isGlobal(found, at)) return undefined;
      const [next, after] = [found[at + 1]?.text, found[at + 2]?.text];
      const made = found[at - 1]?.text === "new";
      return (next === "(" && after === ")") || (made && next !== "(") ? "new Date()" : undefined;
    },
    rule: "only lib/os reads the wall clock; take a Clock and use its wall()",
  },
  {
    floors: ["lib/os"],
    touched: (found, at) => {
      const { kind, text } = found[at];
      const words = kind === "string" || kind === "template";
      return words && /^\/proc(\/|$)/.test(text) ? `"${text}"` : undefined;
    },
    rule: "only lib/os reads /proc; ask the System",
  },
  {
    floors: ["lib/os"],
    touched: (found, at) =>
      found[at].kind === "string" && OS_ONLY_MODULES.test(found[at].text)
        ? `"${found[at].text}"`
        : undefined,
    rule: "only lib/os touches processes and timers; take a System or a Clock",
  },
  {
    floors: ["lib/cli", "lib/telemetry"],
    touched: (found, at) => {
      const name = member(found, at);
      return /^(console\.\w+|Deno\.(stdout|stderr))$/.test(name) ? name : undefined;
    },
    rule: "only lib/cli and lib/telemetry print; emit an event, return a value or throw a Failure",
  },
  {
    floors: FLOORS.filter((floor) => floor !== "lib/core"),
    touched: (found, at) => isDeno(found, at) ? "Deno" : undefined,
    rule: "lib/core is pure; let the caller pass in what it needs",
  },
  {
    floors: ["lib/os"],
    touched: (found, at) =>
      isDeno(found, at) && ![".", "?."].includes(found[at + 1]?.text)
        ? "Deno as a value"
        : undefined,
    rule: "it hides which of its parts are used; write Deno.<part>",
  },
];

/** `a.b` at this place, when `a` is a global name. */
function member(found: Token[], at: number): string {
  if (found[at].kind !== "name" || !isGlobal(found, at)) return "";
  const dot = found[at + 1]?.text;
  return dot === "." || dot === "?." ? `${found[at].text}.${found[at + 2]?.text}` : "";
}

/** Whether the name here is not a member, a key or a method of something else. */
function isGlobal(found: Token[], at: number): boolean {
  const before = found[at - 1]?.text;
  if (before !== "." && before !== "?.") return found[at + 1]?.text !== ":";
  return found[at - 2]?.text === "globalThis";
}

function isDeno(found: Token[], at: number): boolean {
  return found[at].kind === "name" && found[at].text === "Deno" && isGlobal(found, at);
}

/** The floor a file stands on; undefined: none. */
export function floorOf(file: string): string | undefined {
  return FLOORS.find((floor) => file === floor || file.startsWith(`${floor}/`));
}

/** Checks all files (path in the repository → text) against all rules. */
export function checkLayers(files: Map<string, string>): Finding[] {
  const findings: Finding[] = [];
  /** What is left of the imports at run time. */
  const graph = new Map<string, { to: string; line: number }[]>();
  for (const [file, text] of files) {
    const report = (line: number, words: string) => findings.push({ file, line, text: words });
    const floor = floorOf(file);
    if (floor === undefined) {
      report(1, "stands on no floor; move it into one of the folders that architecture knows");
      continue;
    }
    checkShape(text, report);
    const found = tokens(text);
    checkDoors(floor, found, report);
    const edges: { to: string; line: number }[] = [];
    for (const { specifier, line, typeOnly } of importsOf(found)) {
      const target = specifier.startsWith(".")
        ? normalize(join(dirname(file), specifier))
        : undefined;
      const words = checkImport(file, floor, specifier, target);
      if (words !== undefined) report(line, words);
      if (target !== undefined && files.has(target) && !typeOnly) edges.push({ to: target, line });
    }
    graph.set(file, edges);
  }
  for (const { file, line, path } of findCircles(graph)) {
    const text = `imports itself in a circle: ${path.join(" → ")}; ` +
      "one of them must not know the other: move what both need into a third file";
    findings.push({ file, line, text });
  }
  return findings.sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line);
}

function checkShape(text: string, report: (line: number, words: string) => void): void {
  if (!/^\/[*/]/.test(text)) {
    report(
      1,
      "does not begin with a comment; say what the file is for and which invariant it keeps",
    );
  }
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  if (lines > MOST_LINES) {
    report(MOST_LINES + 1, `has ${lines} lines, more than ${MOST_LINES}; split it by purpose`);
  }
}

function checkDoors(
  floor: string,
  found: Token[],
  report: (line: number, words: string) => void,
): void {
  for (const { floors, touched, rule } of DOORS) {
    if (floors.includes(floor)) continue;
    for (let at = 0; at < found.length; at++) {
      const what = touched(found, at);
      if (what !== undefined) report(found[at].line, `uses ${what}: ${rule}`);
    }
  }
}

/** Why this import is not allowed; undefined: it is. */
function checkImport(
  file: string,
  floor: string,
  specifier: string,
  target: string | undefined,
): string | undefined {
  if (target === undefined) {
    if (!/^(https?|npm|jsr|file):/.test(specifier)) return undefined;
    return `imports "${specifier}": versions stand in one place; name it in deno.json and import the name`;
  }
  if (target === "deno.json") return undefined;
  const below = floorOf(target);
  if (below === undefined) {
    return `imports ${target}: it is not part of the program; move what is needed onto a floor`;
  }
  if (FLOORS.indexOf(below) > FLOORS.indexOf(floor)) {
    return `imports ${target}: ${below} lies above ${floor}, and imports only go down; ` +
      "declare an interface here and let the floor above pass it in";
  }
  return checkRooms(file, target);
}

/** Plugins know `plugins/plugin.ts`, not each other; only the registry knows them. */
function checkRooms(file: string, target: string): string | undefined {
  const room = (path: string) => /^plugins\/([^/]+)\//.exec(path)?.[1];
  const [own, other] = [room(file), room(target)];
  if (own !== undefined && target === "plugins/registry.ts") {
    return `imports ${target}: the registry knows the plugins, not the other way round`;
  }
  if (own === undefined || other === undefined || own === other) return undefined;
  return `imports ${target}: plugins do not know each other; move what both need to a floor below`;
}
