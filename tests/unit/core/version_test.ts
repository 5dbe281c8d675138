/** The version stands in two files; it is one. */

import { assertEquals } from "@std/assert";
import { VERSION } from "../../../lib/core/version.ts";

Deno.test("the program's version is the project's", () => {
  const project = Deno.readTextFileSync(new URL("../../../deno.json", import.meta.url));
  assertEquals(VERSION, JSON.parse(project).version);
});
