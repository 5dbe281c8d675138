/**
 * `deno task layers`: refuses imports that go up, imports in circles, and things done on the wrong
 * floor. The rules stand in lib/layers.ts.
 *
 * Invariant: looks at every file of the program, and says all that is wrong at once.
 */

import { join } from "@std/path";
import { checkLayers } from "./lib/layers.ts";
import { filesBelow, ROOT } from "./lib/project.ts";

const PROGRAM = ["main.ts", "lib", "plugins"];

const files = new Map(
  PROGRAM.flatMap((part) => filesBelow(join(ROOT, part)))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => [file.slice(ROOT.length + 1), Deno.readTextFileSync(file)]),
);
const findings = checkLayers(files);
for (const { file, line, text } of findings) console.error(`${file}:${line}: ${text}`);
if (findings.length > 0) {
  console.error(`\n${findings.length} broken in ${files.size} files`);
  Deno.exit(1);
}
console.log(`floors: ${files.size} files, nothing broken`);
