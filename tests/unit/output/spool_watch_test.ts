import { assertEquals } from "@std/assert";
import { SpoolWatch } from "../../../lib/process/spool_watch.ts";
import { ManualClock } from "../../kit/manual_clock.ts";

/** A directory that changes when told, and everything the watch did about it. */
class Bench {
  readonly clock = new ManualClock();
  readonly names: string[] = [];
  readonly trouble: string[] = [];
  sweeps = 0;
  /** What the next sweeps find. */
  news = false;
  opened = 0;
  closed = 0;
  refuse: string | undefined;
  change: (name: string) => void = () => {};
  readonly watch: SpoolWatch;

  constructor(refuse?: string, private readonly mode = "notified") {
    this.refuse = refuse;
    this.watch = new SpoolWatch("/spool", (_, onChange) => this.#open(onChange), this.clock, {
      onName: (name) => this.names.push(name),
      sweep: () => {
        this.sweeps++;
        return this.news;
      },
      onTrouble: (error) => this.trouble.push(error),
    });
  }

  get watching(): boolean {
    return this.opened > this.closed;
  }

  burst(): void {
    for (let i = 0; i < 21; i++) this.change("a.out");
  }

  #open(onChange: (name: string) => void) {
    if (this.refuse !== undefined) throw new Error(this.refuse);
    this.opened++;
    this.change = onChange;
    return { mode: this.mode, close: () => this.closed++ };
  }
}

Deno.test("single changes are told by name, without any timer", () => {
  const bench = new Bench();
  assertEquals(bench.sweeps, 1); // what was there before the watch stood
  bench.change("a.out");
  bench.change("b.err");
  assertEquals([bench.names, bench.sweeps, bench.clock.pending], [["a.out", "b.err"], 1, 0]);
});

Deno.test("a change without a name is a look at all", () => {
  const bench = new Bench();
  bench.change("");
  assertEquals([bench.names, bench.sweeps], [[], 2]);
});

Deno.test("slow changes never turn the watch off", async () => {
  const bench = new Bench();
  for (let i = 0; i < 200; i++) {
    bench.change("a.out");
    await bench.clock.advance(11);
  }
  assertEquals([bench.opened, bench.closed], [1, 0]);
});

Deno.test("a burst turns it off; looks follow until it is quiet, then it stands again", async () => {
  const bench = new Bench();
  bench.news = true;
  bench.burst();
  assertEquals(bench.watching, false);
  await bench.clock.advance(4000);
  assertEquals([bench.watching, bench.sweeps], [false, 101]);
  bench.news = false;
  await bench.clock.advance(400);
  assertEquals(bench.watching, true);
  assertEquals(bench.sweeps, 112); // ten quiet ones and one after the watch stood
  assertEquals(bench.clock.pending, 0);
  bench.change("a.out");
  assertEquals(bench.names.at(-1), "a.out");
});

Deno.test("without notification it looks, says so once, and tries again", async () => {
  const bench = new Bench("too many watches");
  assertEquals(bench.trouble, ["too many watches"]);
  await bench.clock.advance(2000);
  assertEquals(bench.sweeps, 50);
  assertEquals(bench.trouble.length, 1);
  bench.refuse = undefined;
  await bench.clock.advance(400);
  assertEquals(bench.watching, true);
});

Deno.test("a system that only polls is worth a word", () => {
  const { trouble } = new Bench(undefined, "polling");
  assertEquals(trouble, ["the system grants no notifications"]);
});

Deno.test("after close nothing is noticed and nothing waits", async () => {
  const bench = new Bench();
  bench.burst();
  bench.watch.close();
  const { sweeps, names } = bench;
  await bench.clock.advance(1000);
  bench.change("a.out");
  assertEquals([bench.sweeps, names.length, bench.clock.pending], [sweeps, 21, 0]);
});
