/** `doctor` about the machine around a daemon: limits, disk, systemd, and who deletes releases. */

import { assertEquals, assertMatch } from "@std/assert";
import type { Checked } from "../../lib/core/check.ts";
import { type CommandResult, type Daemon, daemonTest } from "../kit/daemon.ts";
import { webProcess } from "../kit/programs.ts";
import { rootTest } from "../kit/root.ts";
import { smallDisk, smallDiskDaemonTest } from "../kit/small_disk.ts";

const config = { proxy: {}, processes: { web: webProcess() } };

/** What one check found; all of this file are advice, so nothing fails. */
function finding({ code, stdout, stderr }: CommandResult, id: string): Checked {
  assertEquals(code, 0, stdout + stderr);
  return JSON.parse(stdout).checks.find((check: Checked) => check.id === id);
}

/** Runs doctor by a shell that has done something before. */
function after(d: Daemon, script: string): Promise<CommandResult> {
  const { argv } = d.command("doctor", "--json");
  return d.run(["unshare", "-m", "sh", "-c", `${script}\nexec "$@"`, "sh", ...argv]);
}

daemonTest("few open files, few processes", { config, start: false }, async (d) => {
  const { argv } = d.command("doctor", "--json");
  const limited = ["prlimit", "--nofile=4000:4000", "--nproc=1000:1000", ...argv];
  const { level, detail, fix } = finding(await d.run(limited), "limits");
  assertEquals(level, "advice");
  assertEquals(
    detail,
    "at most 4000 open files: two for every request; at most 1000 processes of this user",
  );
  assertMatch(fix!, /LimitNOFILE/);
  assertMatch(finding(await d.cli("doctor", "--json"), "clock").level, /^(ok|advice)$/);
});

smallDiskDaemonTest("a disk that is almost full", { config, start: false }, async (d) => {
  using _disk = smallDisk(d.path("state"), "1m");
  const { level, detail } = finding(await d.cli("doctor", "--json"), "disk");
  assertEquals(level, "advice");
  assertMatch(detail, /^".*state" has 1\.0 MiB left$/);
});

daemonTest("a release that a clean-up would delete next", { config }, async (d) => {
  await d.deploy("v1");
  const years = (name: string, year: number) => {
    const at = Date.UTC(year, 0) / 1000;
    Deno.utimeSync(d.release(name), at, at);
  };
  for (const [i, name] of ["a", "b", "c", "d", "e"].entries()) years(name, 2020 + i);
  const found = async () => finding(await d.cli("doctor", "--json"), "releases");
  years("v1", 2022);
  assertEquals((await found()).level, "ok");
  years("v1", 2019);
  const { level, detail, fix } = await found();
  assertEquals(level, "advice");
  assertMatch(detail, /v1" is in use, and the oldest of 6 beside each other: whoever keeps only/);
  assertMatch(fix!, /keep it while the release is live/);
});

daemonTest("a program that is given more time than its drain", {
  start: false,
  config: {
    proxy: { drain_timeout: "5s" },
    processes: { web: webProcess({ graceful_stop: "20s" }) },
  },
}, async (d) => {
  const { level, detail } = finding(await d.cli("doctor", "--json"), "budgets");
  assertEquals([level, detail], ["advice", "web may take 20s to stop, its drain only 5s"]);
});

rootTest("a unit that waits less than a stop may take", { config }, async (d) => {
  d.write("cgroup", "0::/system.slice/shop.service\n");
  const asked = async (text: string) => {
    const tool = `#!/bin/sh\n[ "$4" = shop.service ] || exit 1\nprintf '${text}'\n`;
    d.write("bin/systemctl", tool, 0o755);
    const script = `mount --bind ${d.path("cgroup")} /proc/${d.pid}/cgroup
      export PATH=${d.path("bin")}:$PATH`;
    return finding(await after(d, script), "unit_stop");
  };
  const short = await asked("Type=simple\\nTimeoutStopUSec=1min 5s\\n");
  assertEquals(short.level, "advice");
  assertMatch(short.detail, /^shop\.service is killed after 1m5s, but may take \S+ to stop$/);
  assertMatch(short.fix!, /supervisor systemd/);
  const long = await asked("Type=exec\\nTimeoutStopUSec=2h 30min 1s 500ms\\n");
  assertEquals([long.level, long.detail], ["ok", "shop.service has 2h30m1s500ms"]);
  for (const span of ["Type=notify\\nTimeoutStopUSec=1s\\n", "TimeoutStopUSec=infinity\\n"]) {
    assertEquals((await asked(span)).detail, "as long as shop.service asks for");
  }
  assertEquals((await asked("nonsense\\n")).detail, "nobody counts it");
  assertEquals(finding(await d.cli("doctor", "--json"), "unit_stop").detail, "nobody counts it");
});
