/** The runtime image: measured by its own header, refused when it is another. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { elfLength, elfMachine } from "../../../scripts/lib/elf.ts";
import { cutImage, DownloadMemory, NPM_IMAGES } from "../../../scripts/lib/image.ts";
import { Scratch } from "../../kit/scratch.ts";

/** Header of an ELF image whose section table has `entries` of 64 bytes at `offset`. */
function header(offset: number, entries: number, length = 64): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0x28, BigInt(offset), true);
  view.setUint16(0x3a, 64, true);
  view.setUint16(0x3c, entries, true);
  return bytes;
}

Deno.test("the length of an image is where its section table ends", () => {
  assertEquals(elfLength(header(5_000_000_000, 3)), 5_000_000_192);
  const self = Deno.openSync(Deno.execPath());
  using _ = self;
  const own = new Uint8Array(64);
  self.readSync(own);
  const length = elfLength(own);
  assert(length > 1_000_000 && length <= self.statSync().size);
});

Deno.test("the machine of an image is known by its header", () => {
  const arm = header(64, 1);
  arm[0x12] = 183;
  assertEquals(elfMachine(arm), "aarch64");
  arm[0x12] = 62;
  assertEquals(elfMachine(arm), "x86_64");
  arm[0x12] = 8;
  assertEquals(elfMachine(arm), "machine 8");
  assertThrows(() => elfMachine(new Uint8Array(64)), Error, "not an ELF file");
});

Deno.test("what is no 64-bit little-endian ELF image with sections is refused", () => {
  assertThrows(() => elfLength(new Uint8Array(64)), Error, "not an ELF file");
  assertThrows(() => elfLength(header(64, 1).subarray(0, 63)), Error, "not an ELF file");
  assertThrows(() => elfLength(header(0, 0)), Error, "without sections");
  const small = header(64, 1);
  small[4] = 1;
  assertThrows(() => elfLength(small), Error, "64-bit");
});

Deno.test("an image that is not the pinned one is refused, and both sums are said", async () => {
  const error = await assertRejects(
    () => cutImage(header(64, 1, 200), NPM_IMAGES[0]),
    Error,
    "refused",
  );
  assert(
    error.message.includes(
      "@stdy/cli-linux-x64@0.22.2 does not hold the expected runtime image: 128 bytes",
    ),
  );
  assert(error.message.includes("97076048 bytes"));
});

Deno.test("a failed download is remembered for an hour", () => {
  using scratch = new Scratch();
  const memory = new DownloadMemory("some-target", scratch.path("deep", "down"));
  assertEquals(memory.recall(), undefined);
  memory.note("no such host");
  assertEquals(memory.recall(), "no such host");
  assertEquals(memory.recall(Date.now() + 3_599_000), "no such host");
  assertEquals(memory.recall(Date.now() + 3_601_000), undefined);
  assertEquals(new DownloadMemory("other", scratch.path("deep", "down")).recall(), undefined);
});
