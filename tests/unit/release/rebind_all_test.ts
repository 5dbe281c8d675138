/** Several addresses that change together. */

import { assertEquals, assertRejects } from "@std/assert";
import { rebindAll } from "../../../lib/release/rebind_all.ts";

function address(name: string, log: string[]) {
  return () => {
    log.push(`bound ${name}`);
    return {
      commit: () => void log.push(`took ${name}`),
      undo: () => void log.push(`let go ${name}`),
    };
  };
}

Deno.test("all are taken, or let go, as one", async () => {
  const log: string[] = [];
  const rebinding = await rebindAll([address("a", log), () => undefined, address("b", log)]);
  rebinding!.commit();
  rebinding!.undo();
  assertEquals(log, ["bound a", "bound b", "took a", "took b", "let go a", "let go b"]);
});

Deno.test("one that cannot be bound takes those before it along, and none after it is tried", async () => {
  const log: string[] = [];
  const bad = () => Promise.reject(new Error("in use"));
  await assertRejects(
    () => rebindAll([address("a", log), bad, address("b", log)]),
    Error,
    "in use",
  );
  assertEquals(log, ["bound a", "let go a"]);
});

Deno.test("nothing to bind is nothing to commit", async () => {
  assertEquals(await rebindAll([() => undefined, () => Promise.resolve(undefined)]), undefined);
});
