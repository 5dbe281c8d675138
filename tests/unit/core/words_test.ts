/** A command line split into words. */

import { assertEquals } from "@std/assert";
import { splitWords } from "../../../lib/core/words.ts";

const CASES: [string, string[]][] = [
  ["php worker.php", ["php", "worker.php"]],
  ["  php \t -d  x=1\nworker.php ", ["php", "-d", "x=1", "worker.php"]],
  ["php 'my worker.php' \"a b\"", ["php", "my worker.php", "a b"]],
  ["a'b c'd", ["ab cd"]],
  [`"say \\"hi\\" \\n"`, ['say "hi" \\n']],
  ["a\\ b c", ["a b", "c"]],
  ["php ''", ["php", ""]],
  ["php {{release_path}}/worker.php", ["php", "{{release_path}}/worker.php"]],
  ["a\\", ["a\\"]],
];

for (const [text, words] of CASES) {
  Deno.test(`words of ${JSON.stringify(text)}`, () => assertEquals(splitWords(text), words));
}

Deno.test("a quote that is not closed is told, and so is nothing at all", () => {
  assertEquals(splitWords("php 'x"), {
    problem: `has a quote ' that is not closed: "php 'x"`,
  });
  assertEquals(splitWords("   "), { problem: "is empty" });
});
