/** The unit of a configuration: taken by systemd's own checker, and patient enough. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readOrFail } from "../../../lib/config/mod.ts";
import { startBudget, stopBudget } from "../../../lib/daemon/budget.ts";
import { sections } from "../../../plugins/registry.ts";
import { Scratch } from "../../kit/scratch.ts";
import { supervisor } from "./kit.ts";

const SLOW = `
application: shop
proxy: { address: 127.0.0.1:80, drain_timeout: 10m }
processes:
  web:
    policy: proxied
    command: [node, server.js]
    port: 0
    health: { timeout: 5m }
    graceful_stop: 2m
  broker: { policy: service, command: broker, graceful_stop: 90s }
`;

const PLACED = `${SLOW}
state_dir: /var/lib/shop
control: { socket: /run/shop/control.sock }
`;

/** Settings by name; all in one, because no name stands in two sections. */
function settings(unit: string): Map<string, string> {
  const lines = unit.split("\n").filter((line) => line !== "" && !/^[#[]/.test(line));
  const pairs = lines.map((line) => /^([A-Za-z]+)=(.*)$/.exec(line)!.slice(1) as [string, string]);
  assertEquals(new Set(pairs.map(([name]) => name)).size, pairs.length, "a setting stands twice");
  return new Map(pairs);
}

function checker(): boolean {
  try {
    return new Deno.Command("systemd-analyze", { args: ["--version"], stdout: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}

async function verified(scratch: Scratch, unit: string): Promise<void> {
  if (!checker()) return;
  const file = scratch.write("supervisor-shop.service", unit);
  const { code, stderr } = await new Deno.Command("systemd-analyze", { args: ["verify", file] })
    .output();
  const complaints = new TextDecoder().decode(stderr).split("\n")
    .filter((line) => line.includes("supervisor-shop"));
  assertEquals({ code, complaints }, { code: 0, complaints: [] });
}

Deno.test("systemd: the manager waits longer than the daemon", async () => {
  using scratch = new Scratch();
  const file = scratch.write("supervisor.yaml", SLOW);
  const { code, stdout } = await supervisor(["systemd"], { cwd: scratch.dir });
  assertEquals(code, 0);
  await verified(scratch, stdout);
  const unit = settings(stdout);
  const config = await readOrFail({ file, env: {} }, sections());
  assert(Number(unit.get("TimeoutStartSec")) * 1000 > startBudget(config));
  assert(Number(unit.get("TimeoutStopSec")) * 1000 > stopBudget(config));
  assertEquals(unit.get("Type"), "notify");
  assertEquals(unit.get("KillMode"), "mixed");
  assertEquals(unit.get("WorkingDirectory"), scratch.dir);
  assertEquals(unit.get("RuntimeDirectory"), "supervisor/shop");
  assertEquals(unit.get("StateDirectory"), "supervisor/shop");
  assertEquals(unit.get("LogsDirectory"), "supervisor/shop");
  assertEquals(unit.get("User"), undefined);
  assert(unit.get("ExecStart")!.endsWith(` serve --config ${file}`));
});

Deno.test("systemd: for a user, with places of its own and a low port", async () => {
  using scratch = new Scratch();
  scratch.write("supervisor.yaml", PLACED);
  const { code, stdout } = await supervisor(["systemd", "--user", "daemon"], { cwd: scratch.dir });
  assertEquals(code, 0);
  await verified(scratch, stdout);
  const unit = settings(stdout);
  assertEquals(unit.get("User"), "daemon");
  assertEquals(unit.get("RuntimeDirectory"), "shop");
  assertEquals(unit.get("StateDirectory"), "shop");
  // The log is below the state.
  assertEquals(unit.get("LogsDirectory"), undefined);
  assertEquals(unit.get("AmbientCapabilities"), "CAP_NET_BIND_SERVICE");
});

Deno.test("systemd: words that systemd would take for something else", async () => {
  using scratch = new Scratch();
  const file = scratch.write('odd $HOME 100% "dir"/supervisor.yaml', SLOW);
  const { code, stdout } = await supervisor(["systemd", "-c", file, "-o", "application=a"]);
  assertEquals(code, 0);
  await verified(scratch, stdout);
  const words = settings(stdout).get("ExecStart")!;
  assertStringIncludes(
    words,
    ` serve --config "${scratch.dir}/odd $$HOME 100%% \\"dir\\"/supervisor.yaml" --override application=a`,
  );
});

Deno.test("systemd: refuses what cannot work", async () => {
  using scratch = new Scratch();
  scratch.write("supervisor.yaml", SLOW);
  const user = await supervisor(["systemd", "--user", "shop"], { cwd: scratch.dir });
  assertEquals(user.code, 3);
  assertStringIncludes(user.stderr, "needs fixed places");
  scratch.write("bad.yaml", "processes: 1\n");
  const bad = await supervisor(["systemd", "-c", "bad.yaml"], { cwd: scratch.dir });
  assertEquals({ code: bad.code, stdout: bad.stdout }, { code: 3, stdout: "" });
  const none = await supervisor(["systemd", "-c", "none.yaml"], { cwd: scratch.dir });
  assertEquals(none.code, 3);
});
