import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PidFile } from "../../../lib/os/lock.ts";
import { Fifo } from "../../kit/gate.ts";
import { Scratch } from "../../kit/scratch.ts";
import { soon } from "../../kit/wait.ts";
import { sentenceOf } from "./machine.ts";

const self = { pid: Deno.pid, start: "77", boot_id: "b-o-o-t" };

function acquired(path: string): PidFile {
  const got = PidFile.acquire(path, self);
  assert(got instanceof PidFile);
  return got;
}

const exists = (path: string) => {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
};

Deno.test("the first gets the lock, the second is told who has it, and gets it afterwards", () => {
  using scratch = new Scratch();
  const path = scratch.path("pid");
  const first = acquired(path);
  assertEquals(Deno.readTextFileSync(path), `${Deno.pid} 77 b-o-o-t\n`);
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  assertEquals(PidFile.acquire(path, { ...self, pid: 1 }), { held: true, holder: self });
  assertEquals([first.intact, PidFile.read(path)], [true, self]);
  first.release();
  first.release();
  assertEquals([first.intact, exists(path)], [false, false]);
  acquired(path).release();
});

Deno.test("a stale file never blocks, whatever is in it", () => {
  using scratch = new Scratch();
  for (const text of ["1 2 3\n", "", "not a pid", `${Deno.pid} 1 x\n`, "x".repeat(10_000)]) {
    const path = scratch.write("pid", text);
    const lock = acquired(path);
    assertEquals(PidFile.read(path), self);
    lock.release();
  }
});

Deno.test("read understands what others wrote, and nothing else", () => {
  using scratch = new Scratch();
  const read = (text: string) => PidFile.read(scratch.write("pid", text));
  assertEquals(read("4711\n"), { pid: 4711 });
  assertEquals(read("4711 5\n"), { pid: 4711, start: "5" });
  for (const text of ["", "-1", "0", "x", "1x 2"]) assertEquals(read(text), undefined, text);
  assertEquals(PidFile.read(scratch.path("none")), undefined);
});

Deno.test("a holder whose file was replaced does not remove the new one", () => {
  using scratch = new Scratch();
  const path = scratch.path("pid");
  const first = acquired(path);
  Deno.removeSync(path);
  const second = acquired(path);
  assertEquals([first.intact, second.intact], [false, true]);
  first.release();
  assertEquals([exists(path), PidFile.acquire(path, self).held], [true, true]);
  second.release();
});

Deno.test("the kernel gives the lock back when its holder is killed, children or not", async () => {
  using scratch = new Scratch();
  await using fifo = new Fifo(scratch.path("fifo"));
  const path = scratch.path("pid");
  const script = scratch.write(
    "hold.ts",
    `import { PidFile } from ${JSON.stringify(new URL("../../../lib/os/lock.ts", import.meta.url))};
     import { spawn } from ${JSON.stringify(new URL("../../../lib/os/spawn.ts", import.meta.url))};
     const got = PidFile.acquire(${JSON.stringify(path)}, ${JSON.stringify(self)});
     const child = spawn({ argv: ["sleep", "1000"], cwd: "/", env: { PATH: "/usr/bin:/bin" } });
     Deno.writeTextFileSync(${JSON.stringify(fifo.path)}, got.held + " " + child.pid + "\\n");
     await new Promise(() => setInterval(() => {}, 1000));`,
  );
  const holder = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--no-config", script],
    stdin: "null",
  }).spawn();
  const [held, child] = (await fifo.line()).split(" ");
  try {
    assertEquals([held, PidFile.acquire(path, self).held], ["false", true]);
  } finally {
    holder.kill("SIGKILL");
    await soon("its end", holder.status);
  }
  Deno.kill(Number(child), 0 as unknown as Deno.Signal); // still there
  acquired(path).release();
  Deno.kill(Number(child), "SIGKILL");
});

Deno.test("of many that start at once exactly one gets it", async () => {
  using scratch = new Scratch();
  const path = scratch.path("pid");
  const script = scratch.write(
    "race.ts",
    `import { PidFile } from ${JSON.stringify(new URL("../../../lib/os/lock.ts", import.meta.url))};
     const self = { pid: Deno.pid, start: "1", boot_id: "b" };
     for (let i = 0; i < 200; i++) {
       const got = PidFile.acquire(${JSON.stringify(path)}, self);
       if (got.held) continue;
       Deno.openSync(${JSON.stringify(path + ".in")}, { write: true, createNew: true }).close();
       Deno.removeSync(${JSON.stringify(path + ".in")});
       got.release();
     }`,
  );
  const racers = Array.from({ length: 4 }, () =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--no-config", script],
      stderr: "piped",
    }).output());
  for (const { success, stderr } of await Promise.all(racers)) {
    assert(success, `two at once: ${new TextDecoder().decode(stderr)}`);
  }
});

Deno.test("a file that cannot be opened is a sentence", () => {
  using scratch = new Scratch();
  assertEquals(
    sentenceOf(() => PidFile.acquire("/nope/pid", self)),
    `cannot open the PID file "/nope/pid": no such file or directory`,
  );
  assertStringIncludes(
    sentenceOf(() => PidFile.acquire(scratch.dir, self)),
    `cannot open the PID file "${scratch.dir}": is a directory`,
  );
  assertStringIncludes(
    sentenceOf(() => PidFile.acquire("/proc/uptime", self)),
    `"/proc/uptime": `,
  );
});
