import { assert, assertEquals } from "@std/assert";
import { diskUsage, firstData, punchHole } from "../../../lib/os/spool.ts";
import { Scratch } from "../../kit/scratch.ts";
import { sentenceOf } from "./machine.ts";

const KiB = 1024;

/** Where the tests run: /tmp, and a file system in memory where there is one. */
function places(): string[] {
  try {
    return [Deno.makeTempDirSync({ dir: "/dev/shm", prefix: "sup-" })];
  } catch {
    return [];
  }
}

function on(run: (path: string) => void): void {
  using scratch = new Scratch();
  run(scratch.path("spool"));
  for (const directory of places()) {
    try {
      run(`${directory}/spool`);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  }
}

Deno.test("what was read is freed and reads as zeros; size and the rest stay", () => {
  on((path) => {
    Deno.writeFileSync(path, new Uint8Array(1024 * KiB).fill(65));
    const before = diskUsage(path);
    assertEquals(punchHole(path, 0, 1000 * KiB + 7), true);
    assert(before - diskUsage(path) >= 996 * KiB, `${before} → ${diskUsage(path)}`);
    const bytes = Deno.readFileSync(path);
    assertEquals(bytes.length, 1024 * KiB);
    assertEquals([bytes[0], bytes[1000 * KiB + 6], bytes[1000 * KiB + 7]], [0, 0, 65]);
  });
});

Deno.test("firstData finds the first byte that was not freed, inside a block, too", () => {
  on((path) => {
    Deno.writeFileSync(path, new Uint8Array(300 * KiB).fill(66));
    assertEquals(firstData(path, 0), 0);
    assertEquals(firstData(path, 100), 100);
    for (const freed of [5, 4096, 65 * KiB + 3, 200 * KiB]) {
      punchHole(path, 0, freed);
      assertEquals([firstData(path, 0), firstData(path, freed + 1)], [freed, freed + 1]);
    }
    punchHole(path, 0, 300 * KiB);
    assertEquals(firstData(path, 0), 300 * KiB);
    assertEquals(firstData(path, 400 * KiB), 300 * KiB);
  });
});

Deno.test("a hole larger than 2^32 is passed over", () => {
  on((path) => {
    const far = 5 * 2 ** 30;
    Deno.writeTextFileSync(path, "");
    using file = Deno.openSync(path, { write: true });
    file.seekSync(far, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode("line\n"));
    assertEquals(firstData(path, 0), far);
    assertEquals(punchHole(path, far, 5), true);
    assertEquals(firstData(path, 0), far + 5);
    assertEquals(Deno.statSync(path).size, far + 5);
  });
});

Deno.test("a writer that appends meanwhile loses nothing", () => {
  on((path) => {
    Deno.writeTextFileSync(path, "");
    using file = Deno.openSync(path, { append: true });
    let wanted = "";
    for (let i = 0; i < 200; i++) {
      const line = `line ${i} ${"x".repeat(i * 13 % 500)}\n`;
      file.writeSync(new TextEncoder().encode(line));
      wanted += line;
      if (i % 3 === 0) {
        const from = firstData(path, 0);
        const text = new TextDecoder().decode(Deno.readFileSync(path).subarray(from));
        assert(wanted.endsWith(text));
        punchHole(path, 0, Deno.statSync(path).size);
      }
    }
    assertEquals(Deno.statSync(path).size, wanted.length);
  });
});

Deno.test("where the file system cannot free, false; a missing file is a sentence", () => {
  assertEquals(punchHole("/dev/null", 0, 10), false);
  assertEquals(punchHole("/nope", 0, 0), true, "nothing to do");
  assertEquals(
    sentenceOf(() => punchHole("/nope", 0, 1)),
    `cannot open "/nope": no such file or directory`,
  );
  assertEquals(
    sentenceOf(() => firstData("/nope", 0)),
    `cannot open "/nope": no such file or directory`,
  );
});
