/** A result that is read wrongly would make red look green. */

import { assertEquals } from "@std/assert";
import { countsIn, failingFiles } from "../../../scripts/lib/test_run.ts";

Deno.test("the runner's last line is the result", () => {
  const counts = (line: string, ok: boolean) =>
    countsIn(`x\nok | 9 passed | 9 failed\n\n${line}\n`, ok);
  assertEquals(counts("ok | 14 passed | 0 failed (1s)", true), {
    passed: 14,
    failed: 0,
    ignored: 0,
  });
  assertEquals(
    counts(
      "\x1b[0m\x1b[31mFAILED\x1b[0m | 1 passed (3 steps) | 3 failed (1 step) | 2 ignored",
      false,
    ),
    { passed: 1, failed: 3, ignored: 2 },
  );
});

Deno.test("a run that ends badly has a failure, whatever it counted", () => {
  assertEquals(countsIn("error: type check failed", false), { passed: 0, failed: 1, ignored: 0 });
  assertEquals(countsIn("ok | 3 passed | 0 failed\n", false).failed, 1);
  assertEquals(countsIn("", true), { passed: 0, failed: 0, ignored: 0 });
});

Deno.test("failing files are those of the final list", () => {
  const output = "mentions good_test.ts:1\n\n\x1b[41m FAILURES \x1b[0m\n\n" +
    "it works => ./tests/e2e/deploy_test.ts:12:6\nother => ./tests/e2e/deploy_test.ts:40:6\n" +
    "./tests/unit/a_test.ts (uncaught error)\n\nFAILED | 1 passed | 3 failed\n";
  assertEquals(failingFiles(output), ["deploy_test", "a_test"]);
  assertEquals(failingFiles("ok | 3 passed | 0 failed"), []);
});
