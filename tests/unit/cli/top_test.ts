/** What `top` makes of looks, and what `--grep` makes of words. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { matching, wantedOf } from "../../../lib/cli/grep.ts";
import { plain } from "../../../lib/cli/render/paint.ts";
import { logJson } from "../../../lib/cli/render/records.ts";
import { type Look, ranked, topText } from "../../../lib/cli/render/top.ts";
import type { WorkerSnapshot } from "../../../lib/control/operations.ts";
import { Failure } from "../../../lib/core/failure.ts";
import type { ProcessSnapshot } from "../../../lib/process/types.ts";
import { STATUS } from "../control/kit.ts";

function look(
  at: number,
  processes: [id: string, pid: number, cpu_ms: number, rss: number][],
): Look {
  const services = processes.map(([id, pid, cpu_ms, rss_bytes]) => ({
    id,
    process: { id, pid, cpu_ms, rss_bytes, uptime_ms: 10_000, state: "running" } as ProcessSnapshot,
  }));
  return { at, status: { ...STATUS, services }, workers: [] };
}

Deno.test("CPU is that between two looks; in the first that of the whole life", () => {
  const first = look(0, [["a", 1, 1000, 10], ["b", 2, 5000, 20], ["c", 3, 0, 30]]);
  const second = look(2000, [["a", 1, 2500, 10], ["b", 2, 4000, 20], ["c", 9, 500, 30]]);
  const percent = (rows: ReturnType<typeof ranked>) =>
    rows.map(({ id, cpu_percent }) => [id, cpu_percent]);
  assertEquals(percent(ranked(first, undefined, "cpu")), [["b", 50], ["a", 10], ["c", 0]]);
  // b lost a child, c is another process now.
  assertEquals(percent(ranked(second, first, "cpu")), [["a", 75], ["c", 5], ["b", 0]]);
  assertEquals(ranked(second, first, "memory").map(({ id }) => id), ["c", "b", "a"]);
});

Deno.test("workers stand among the processes; what does not run is left out", () => {
  const seen = look(0, [["a", 1, 1000, 10]]);
  seen.status.services.push({
    id: "off",
    process: { id: "off", state: "stopped" } as ProcessSnapshot,
  });
  const worker = { id: "http#0", release_id: "v1", pid: 7, cpu_percent: 99, memory_bytes: 5 };
  const rows = ranked(
    {
      ...seen,
      workers: [{ ...worker, doing: "GET /", age_ms: 5, state: "working" } as WorkerSnapshot],
    },
    undefined,
    "cpu",
  );
  assertEquals(rows.map(({ id }) => id), ["http#0", "a"]);
  assertStringIncludes(topText(rows, plain), "99.0 %");
  assertEquals(topText([], plain), "nothing runs\n");
});

Deno.test("--grep: a text, or a pattern with flags", async () => {
  assertEquals(wantedOf("/tmp/x"), { text: "/tmp/x" });
  assertEquals(wantedOf("//"), { text: "//" });
  assertEquals(wantedOf("/a.b/i"), { pattern: /a.b/i });
  for (const wrong of ["/(/", "/a/g", "/a/y", "/a/ii"]) {
    assertStringIncludes(assertThrows(() => wantedOf(wrong), Failure).message, "is no pattern");
  }
  async function* numbers() {
    for (let i = 1; i <= 9; i++) yield await Promise.resolve(i);
  }
  const odd = (i: number) => i % 2 === 1;
  assertEquals(await Array.fromAsync(matching(numbers(), odd, undefined)), [1, 3, 5, 7, 9]);
  assertEquals(await Array.fromAsync(matching(numbers(), odd, 2)), [7, 9]);
});

Deno.test("a line that is a JSON object is embedded, every other quoted", () => {
  const head = { at: "2030", process: "a", release: null, stream: "stdout" } as const;
  const start = '{"at":"2030","process":"a","release":null,"stream":"stdout"';
  for (
    const [line, as] of [
      ['{"a":1e400,"a":12345678901234567890}', '{"a":1e400,"a":12345678901234567890}'],
      [' {"a":1} ', '{"a":1}'],
      ["{a}", '"{a}"'],
      ["[1]", '"[1]"'],
      ["7", '"7"'],
      ["", '""'],
    ]
  ) assertEquals(logJson({ ...head, line }), `${start},"line":${as}}`);
  assertEquals(logJson({ ...head, line: "{}", cut: true }), `${start},"line":"{}","cut":true}`);
});
