/** `recover`: what a killed daemon left is shown, then stopped; never a stranger, never beside a daemon. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { program } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

const config = {
  processes: {
    worker: { command: program("worker.sh") },
    family: { command: ["/bin/sh", "-c", "sleep 7771 & exec sleep 7772"] },
  },
};

/** A daemon that ran both programs and was killed. */
async function killed(d: Daemon): Promise<void> {
  await d.start();
  await d.deploy("v1");
  await until("both programs", () => sleeps(d) === 2);
  d.kill("SIGKILL");
  await d.ended();
}

/** How many of the family are alive. */
function sleeps(d: Daemon): number {
  return d.leftovers().filter(({ command }) => /^sleep 777[12]$/.test(command)).length;
}

const options = { config, start: false };

daemonTest("recover shows what is left, --force stops whole groups", options, async (d) => {
  await killed(d);
  const shown = await d.ok("recover");
  assertMatch(shown.stdout, /^family \(pid \d+, release v1\)$/m);
  assertMatch(shown.stdout, /^ {2}\d+ sleep 7771$/m);
  assertEquals(sleeps(d), 2, "a look stops nothing");

  const { status, stopped } = (await d.ok("recover", "--force", "--json")).json();
  assertEquals(status, "success");
  assertEquals(stopped.map(({ process }: { process: string }) => process).sort(), [
    "family",
    "worker",
  ]);
  assertEquals(d.leftovers(), []);
  assertEquals((await d.ok("recover")).stdout, "nothing was left running\n");
  await d.start();
  assertEquals((await d.status()).orphans, []);
});

daemonTest("recover --force signals nothing whose start or boot is another", options, async (d) => {
  await killed(d);
  const book = JSON.parse(d.read("state/processes.json")!);
  for (const change of [{ start: "1", mark: undefined }, { boot_id: "another" }]) {
    const processes = book.processes.map((entry: object) => ({ ...entry, ...change }));
    d.write("state/processes.json", JSON.stringify({ ...book, processes }));
    assertEquals((await d.ok("recover", "--force", "--json")).json().stopped, []);
    assertEquals(sleeps(d), 2);
  }
  d.write("state/processes.json", JSON.stringify(book));
  await d.ok("recover", "--force");
});

daemonTest("recover refuses while a daemon lives, even a silent one", options, async (d) => {
  await d.start();
  await d.deploy("v1");
  for (const args of [[], ["--force"]]) {
    const { code, stderr } = await d.cli("recover", ...args);
    assertEquals(code, 5);
    assertStringIncludes(stderr, `a daemon (pid ${d.pid})`);
  }
  d.kill("SIGSTOP");
  assertEquals((await d.cli("recover", "--force")).code, 5);
  d.kill("SIGCONT");
  assertEquals((await d.status()).releases[0].processes.length, 2);
});

daemonTest("recover acts on no book that is broken", options, async (d) => {
  await killed(d);
  const book = d.read("state/processes.json")!;
  d.write("state/processes.json", book.slice(0, -20));
  for (const args of [[], ["--force"]]) {
    const { code, stderr } = await d.cli("recover", ...args);
    assertEquals(code, 1);
    assertMatch(stderr, /^error: the process book ".*processes.json" is broken.*\nfix: .*\n$/);
  }
  Deno.removeSync(d.path("state/processes.json"));
  Deno.mkdirSync(d.path("state/processes.json"));
  const unreadable = await d.cli("recover");
  assertEquals(unreadable.code, 1);
  assertMatch(unreadable.stderr, /^error: cannot read ".*processes.json": is a directory\n/);
  assertEquals(sleeps(d), 2);
  Deno.removeSync(d.path("state/processes.json"));
  d.write("state/processes.json", book);
  await d.ok("recover", "--force");
});

daemonTest("recover where nothing ever ran, and without a configuration", options, async (d) => {
  assertEquals((await d.ok("recover", "--force")).stdout, "nothing was left running\n");
  assertEquals(d.read("state/lock"), undefined, "nothing is made");
  const { code, stderr } = await d.cli("recover", "--socket", d.socket);
  assertEquals(code, 2);
  assert(stderr.includes("to find what was left its configuration is needed"), stderr);
});
