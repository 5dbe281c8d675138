import { assertEquals } from "@std/assert";
import {
  decodeIntent,
  encodeIntent,
  INTENT_BYTES,
  resumeAt,
  settledAt,
} from "../../../lib/process/spool_position.ts";

const INTENT = { from: 100, to: 150, bytes: 70, inode: 9, size: 1000 };

Deno.test("a batch that reached the log is not read again", () => {
  assertEquals(resumeAt(INTENT, { inode: 9, size: 1070 }), { position: 150 });
  assertEquals(resumeAt(INTENT, { inode: 9, size: 5000 }), { position: 150 });
});

Deno.test("a batch that did not reach the log is read again", () => {
  assertEquals(resumeAt(INTENT, { inode: 9, size: 1000 }), { position: 100 });
});

Deno.test("a batch that was torn is cut off and read again", () => {
  assertEquals(resumeAt(INTENT, { inode: 9, size: 1069 }), { position: 100, cut: 1000 });
  assertEquals(resumeAt(INTENT, { inode: 9, size: 1001 }), { position: 100, cut: 1000 });
});

Deno.test("another log file means that the batch was written before the change", () => {
  assertEquals(resumeAt(INTENT, { inode: 8, size: 1000 }), { position: 150 });
  assertEquals(resumeAt(INTENT, undefined), { position: 150 });
  assertEquals(resumeAt(INTENT, { inode: 9, size: 20 }), { position: 150 });
});

Deno.test("a settled position holds whatever the log is", () => {
  for (const log of [undefined, { inode: 0, size: 0 }, { inode: 9, size: 1000 }]) {
    assertEquals(resumeAt(settledAt(42), log), { position: 42 });
  }
});

Deno.test("an intent survives its written form, which has one size", () => {
  const max = Number.MAX_SAFE_INTEGER;
  for (const intent of [INTENT, { from: max, to: max, bytes: max, inode: max, size: max }]) {
    const bytes = encodeIntent(intent);
    assertEquals(bytes.length, INTENT_BYTES);
    assertEquals(decodeIntent(bytes), intent);
  }
});

Deno.test("a damaged intent is none", () => {
  for (const text of ["", "\0".repeat(INTENT_BYTES), "{}", '{"from":-1,"to":0}', "null"]) {
    assertEquals(decodeIntent(new TextEncoder().encode(text)), undefined);
  }
});
