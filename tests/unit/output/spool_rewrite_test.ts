import { assertEquals } from "@std/assert";
import { CONFIRM, RewriteWatch } from "../../../lib/process/spool_rewrite.ts";

const at = (ms: number) => new Date(ms);

Deno.test("what grows, and what stays as it is, is no new spool", () => {
  const watch = new RewriteWatch();
  assertEquals(watch.judge({ size: 10, mtime: at(1) }, 0), "no"); // nothing remembered yet
  watch.remember({ size: 10, mtime: at(1) });
  assertEquals(watch.judge({ size: 10, mtime: at(1) }, 0), "no");
  assertEquals(watch.judge({ size: 11, mtime: at(2) }, 0), "no");
});

Deno.test("the same size with another time must last", () => {
  const watch = new RewriteWatch();
  watch.remember({ size: 10, mtime: at(1) });
  assertEquals(watch.judge({ size: 10, mtime: at(2) }, 100), "maybe");
  assertEquals(watch.judge({ size: 10, mtime: at(3) }, 100 + CONFIRM - 1), "maybe");
  assertEquals(watch.judge({ size: 10, mtime: at(3) }, 100 + CONFIRM), "yes");
});

Deno.test("a write under way is over before it is confirmed", () => {
  const watch = new RewriteWatch();
  watch.remember({ size: 10, mtime: at(1) });
  assertEquals(watch.judge({ size: 10, mtime: at(2) }, 100), "maybe");
  assertEquals(watch.judge({ size: 20, mtime: at(2) }, 101), "no");
  watch.remember({ size: 20, mtime: at(2) });
  assertEquals(watch.judge({ size: 20, mtime: at(3) }, 500), "maybe");
});
