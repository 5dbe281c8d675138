/**
 * The driver sqlite is killed at any moment, again and again, on one file: what was confirmed is so.
 */

import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { Random } from "../../../kit/random.ts";
import { Scratch } from "../../../kit/scratch.ts";

const CHILD = new URL("./sqlite_crash_child.ts", import.meta.url).pathname;
/** Lives, or milliseconds, whatever is over first. */
const [LIVES, LONG] = [200, 5000];

/** What the children said, by what they said it with. */
type Ledger = Record<string, Set<string>>;

/** One life: traffic until some lines were read, then SIGKILL. */
async function live(dir: string, seed: number, ledger: Ledger): Promise<void> {
  const lines = new Random(seed).int(30, 1500);
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", CHILD, dir, `${seed}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let count = 0;
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    const found = (rest + decoder.decode(bytes)).split("\n");
    rest = found.pop()!;
    for (const line of found) {
      const [what, id] = line.split(" ");
      (ledger[what] ??= new Set()).add(id);
    }
    const before = count;
    count += found.length;
    if (before < lines && count >= lines) child.kill("SIGKILL");
  }
  assertEquals((await child.status).signal, "SIGKILL");
}

/** What is in the file, read without the driver. */
function look(file: string) {
  const db = new DatabaseSync(file);
  const ids = (table: string) =>
    db.prepare(`SELECT head FROM ${table} JOIN bodies ON key = body`).all()
      .map(({ head }) => JSON.parse(head as string)[0] as string);
  try {
    assertEquals(db.prepare("PRAGMA integrity_check").get(), { integrity_check: "ok" });
    const bodies = db.prepare("SELECT count(*) AS n FROM bodies").get()!.n;
    const [waiting, delayed, dead] = [ids("waiting"), ids("delayed"), ids("dead")];
    const counts = db.prepare("SELECT waiting, delayed, dead FROM pipelines").get();
    const lengths = { waiting: waiting.length, delayed: delayed.length, dead: dead.length };
    assertEquals(counts, lengths, "it counts right");
    assertEquals(bodies, waiting.length + delayed.length + dead.length, "no body without a row");
    return { live: [...waiting, ...delayed], dead: new Set(dead) };
  } finally {
    db.close();
  }
}

Deno.test("sqlite: killed at any moment, again and again: what was confirmed is so", async () => {
  using scratch = new Scratch();
  const ledger: Ledger = { p: new Set(), P: new Set(), a: new Set(), d: new Set() };
  ledger.A = new Set();
  ledger.D = new Set();
  const end = performance.now() + LONG;
  let lives = 0;
  while (lives < LIVES && performance.now() < end) {
    await live(scratch.dir, ++lives, ledger);
    const { live: there, dead } = look(scratch.path("jobs.db"));
    const all = new Set([...there, ...dead]);
    assertEquals(all.size, there.length + dead.size, "nothing is there twice");
    const { p, P, a, A, d, D } = ledger;
    for (const id of all) assert(p.has(id), `${id} was never pushed`);
    for (const id of P) assert(all.has(id) || a.has(id), `${id} was stored, and is lost`);
    for (const id of A) assert(!all.has(id), `${id} was acknowledged, and is there`);
    for (const id of D) assert(dead.has(id), `${id} is dead, and is not`);
    for (const id of dead) assert(d.has(id), `${id} is dead without having been made so`);
  }
});
