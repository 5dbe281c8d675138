/** docs/events.md lists every event of the catalogue with its level and its facts, and no other. */

import { assertEquals } from "@std/assert";
import { type EventName, levelOf } from "../../../lib/telemetry/events.ts";

const ROOT = new URL("../../../", import.meta.url);
const OF_PROCESS = ["process", "release?"];

/** The catalogue as it is written: name → facts. */
function catalogue(): Map<string, string[]> {
  const source = Deno.readTextFileSync(new URL("lib/telemetry/events.ts", ROOT));
  const body = source.match(/export interface Events \{\n(.*?)\n\}/s)![1];
  const found = new Map<string, string[]>();
  for (
    const [, name, ofProcess, facts] of body.matchAll(/^ {2}(\w+): (OfProcess & )?\{(.*?)\};$/gms)
  ) {
    const keys = Array.from(facts.matchAll(/(?:^|;|\s)(\w+\??):/g), ([, key]) => key);
    found.set(name, [...ofProcess === undefined ? [] : OF_PROCESS, ...keys]);
  }
  return found;
}

/** The tables of the page: name → level and facts. */
function documented(): Map<string, { level: string; facts: string[] }> {
  const page = Deno.readTextFileSync(new URL("docs/events.md", ROOT));
  const rows = page.matchAll(/^\| `(\w+)` +\| ([^|]+) \| ([^|]+) \| [^|]+\|$/gm);
  return new Map(Array.from(rows, ([, name, level, facts]) => [name, {
    level: level.trim(),
    facts: facts.trim().replaceAll("`", "").split(" "),
  }]));
}

Deno.test("every event is documented with all its facts", () => {
  const page = documented();
  const all = catalogue();
  assertEquals([...page.keys()].sort(), [...all.keys()].sort());
  for (const [name, facts] of all) {
    assertEquals(page.get(name)?.facts.sort(), [...facts].sort(), name);
  }
});

Deno.test("the documented levels are those that events have", () => {
  for (const [name, { level }] of documented()) {
    const [usual, other] = level.split(", ");
    // With these facts the events that have two levels show the first one.
    const facts = { wanted: true } as never;
    assertEquals(usual, levelOf(name as EventName, facts), name);
    const worse = { wanted: false, error: "x" } as never;
    if (other !== undefined) assertEquals(other, levelOf(name as EventName, worse), name);
  }
});
