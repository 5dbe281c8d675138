/** Limits, signals, descriptors, platform: what concerns the process itself, tried in processes of their own. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { requirePlatform } from "../../../lib/os/platform.ts";
import { realSystem } from "../../../lib/os/real.ts";
import { onSignal, signalName } from "../../../lib/os/signals.ts";
import { redirect } from "../../../lib/os/stdio.ts";
import { Scratch } from "../../kit/scratch.ts";
import { until } from "../../kit/wait.ts";
import { sentenceOf } from "./machine.ts";

const os = (file: string) => JSON.stringify(new URL(`../../../lib/os/${file}`, import.meta.url));

/** Runs a program text under a shell line that ends in `"$@"`; what it printed. */
async function run(text: string, shell = 'exec "$@"') {
  using scratch = new Scratch();
  const script = scratch.write("main.ts", text);
  const { stdout, stderr, code } = await new Deno.Command("sh", {
    args: ["-c", shell, "sh", Deno.execPath(), "run", "-A", "--no-check", "--no-config", script],
    env: { SCRATCH: scratch.dir, NO_COLOR: "1" },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { stdout: decode(stdout), stderr: decode(stderr), code, read: scratch.read("log") };
}

Deno.test("our own limit of files is raised, children get back what we were started with", async () => {
  const { stdout, stderr } = await run(
    `import { fileLimit, raiseFileLimit, setFileLimit } from ${os("limits.ts")};
     import { spawn } from ${os("spawn.ts")};
     // The runtime may have raised it already: begin as a service manager starts us.
     setFileLimit(0, { soft: 300n, hard: 4000n });
     const raised = raiseFileLimit();
     const now = fileLimit();
     raiseFileLimit();
     const dir = Deno.env.get("SCRATCH"), out = dir + "/out";
     const child = spawn({ cwd: dir, env: { PATH: "/usr/bin:/bin" },
       argv: ["sh", "-c", "until [ -e go ]; do sleep 0.01; done; ulimit -Sn; ulimit -Hn"],
       output: { stdout: out, stderr: out } });
     Deno.writeTextFileSync(dir + "/go", "");
     await child.exited;
     console.log(String(raised.before.soft), String(now.soft), Deno.readTextFileSync(out));`,
  );
  assertEquals(stdout.trim().split(/\s+/), ["300", "4000", "300", "4000"], stderr);
});

Deno.test("a signal reaches its listener, and after removal the default is back", async () => {
  const { stdout, code } = await run(
    `import { onSignal } from ${os("signals.ts")};
     const { promise, resolve } = Promise.withResolvers();
     const remove = onSignal("SIGUSR2", resolve);
     // Again and again: the first may come before the runtime listens, or stops listening.
     setInterval(() => Deno.kill(Deno.pid, "SIGUSR2"), 20);
     await promise;
     console.log("heard");
     remove();
     remove();
     await new Promise(() => {});`,
  );
  assertEquals([stdout, code], ["heard\n", 128 + 12]);
});

Deno.test("names of signals", () => {
  assertEquals([1, 9, 15, 17, 31, 34, 64].map(signalName), [
    "SIGHUP",
    "SIGKILL",
    "SIGTERM",
    "SIGCHLD",
    "SIGSYS",
    "SIG34",
    "SIG64",
  ]);
  let refused = false;
  try {
    onSignal("SIGKILL", () => {})();
  } catch {
    refused = true;
  }
  assert(refused);
});

Deno.test("stdout and stderr are pointed at a file, and again after it was moved away", async () => {
  const { stdout, stderr, read } = await run(
    `import { isTerminal, redirect } from ${os("stdio.ts")};
     const log = Deno.env.get("SCRATCH") + "/log";
     console.log("before", isTerminal(1));
     redirect(1, log); redirect(2, log);
     console.log("one"); console.error("two");
     Deno.renameSync(log, log + ".1");
     console.log("three");
     redirect(1, log); redirect(2, log);
     console.log("four"); console.error("five");
     try { redirect(1, "/nope/log"); } catch (error) { console.log(error.message); }
     redirect(0, "/dev/null");
     console.log(await Deno.stdin.read(new Uint8Array(1)));
     if (Deno.readTextFileSync(log + ".1") !== "one\\ntwo\\nthree\\n") Deno.exit(9);`,
  );
  assertEquals([stdout, stderr], ["before false\n", ""]);
  assertEquals(
    read,
    `four\nfive\ncannot open "/nope/log": no such file or directory\nnull\n`,
  );
});

Deno.test("descriptors somebody left open in us are kept from children", async () => {
  const text = (seal: string) =>
    `import { sealDescriptors } from ${os("stdio.ts")};
     import { spawn } from ${os("spawn.ts")};
     ${seal}
     const out = Deno.env.get("SCRATCH") + "/log";
     await spawn({ argv: ["ls", "-l", "/proc/self/fd/"], cwd: "/", env: { PATH: "/usr/bin:/bin" },
       output: { stdout: out, stderr: out } }).exited;`;
  const leave = 'exec 8</etc/passwd; exec "$@"';
  assertStringIncludes((await run(text(""), leave)).read!, "/etc/passwd");
  const sealed = await run(text("if (!sealDescriptors()) console.log('old kernel');"), leave);
  if (sealed.stdout === "") assert(!sealed.read!.includes("/etc/passwd"));
});

Deno.test("a redirection that fails says why", () => {
  assertEquals(
    sentenceOf(() => redirect(1, "/nope/x")),
    `cannot open "/nope/x": no such file or directory`,
  );
});

Deno.test("other platforms are refused in a sentence", () => {
  const here = { os: "linux", arch: "x86_64", openLibc: () => {}, hasProc: () => true };
  requirePlatform();
  requirePlatform({ ...here, arch: "aarch64" });
  const said = (more: Partial<typeof here>) =>
    sentenceOf(() => requirePlatform({ ...here, ...more })).split(" | ")[0];
  assertEquals(said({ os: "darwin" }), `supervisor runs on Linux only; this system is "darwin"`);
  assertEquals(
    said({ arch: "riscv64" }),
    `supervisor runs on x86_64 and aarch64 only; this machine is "riscv64"`,
  );
  const openLibc = () => {
    throw new Error("libc.so.6: cannot open shared object file");
  };
  assertEquals(said({ openLibc }), `supervisor needs glibc, but "libc.so.6" cannot be used here`);
  assertEquals(
    said({ hasProc: () => false }),
    `supervisor needs the process table, but "/proc" is not mounted`,
  );
});

Deno.test("the system knows this process and this machine", async () => {
  using system = realSystem();
  assertEquals(system.self, system.identify(Deno.pid)!);
  assertEquals([system.self.pid, system.alive(system.self)], [Deno.pid, true]);
  assert(system.rss() > 1024 * 1024 && system.hostname !== "");
  assertEquals(system.bootId.length, 36);
  await until("our row", () => system.row(Deno.pid)?.command.includes("deno"));
  assertEquals(system.row(2 ** 22 + 1), undefined);
});
