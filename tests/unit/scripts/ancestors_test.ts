/** Only what exists to run the task is looked after: never the shell or the service above it. */

import { assertEquals } from "@std/assert";
import { ancestorsOfTask, isAlive, runsTasks } from "../../../scripts/lib/ancestors.ts";

Deno.test("deno task, npx and the steps between are programs that run tasks", () => {
  for (
    const argv of [
      ["deno", "task", "start"],
      ["/root/.npm/_npx/1/node_modules/deno/deno", "task", "start"],
      ["npm exec deno@2.7.11 task start"],
      ["npm", "exec", "deno"],
      ["node", "/usr/bin/npx", "--yes", "deno@2.7.11", "task", "start"],
      ["sh", "-c", "'deno' task start"],
      ["/bin/sh", "-c", "deno task start"],
    ]
  ) assertEquals(runsTasks(argv), true, argv.join(" "));
});

Deno.test("shells, editors, services and other programs are not", () => {
  for (
    const argv of [
      ["bash", "-c", "cd project && deno task start"],
      ["-bash"],
      ["sh", "-c", "cd project; npx deno task start &"],
      ["node", "server.js"],
      ["deno", "run", "scripts/other.ts"],
      ["vim", "deno task"],
      [],
    ]
  ) assertEquals(runsTasks(argv), false, argv.join(" "));
});

Deno.test("a pid is alive only as the very process it was", () => {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  assertEquals(isAlive({ pid: Deno.pid, start }), true);
  assertEquals(isAlive({ pid: Deno.pid, start: `${Number(start) - 1}` }), false);
  assertEquals(ancestorsOfTask().every(isAlive), true);
});
