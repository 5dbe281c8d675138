/** What workers hear of the RPC address over reloads, kills and deploys. */

import { assert, assertEquals } from "@std/assert";
import { type Daemon, daemonTest } from "../kit/daemon.ts";
import { freePort } from "../kit/ports.ts";
import type { Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import { deployWorkers, hold, runs, WORKER, workers } from "../kit/workers.ts";

const LIST = "/rpc?method=informer.List&json=true";

/** RR_RPC of whoever answers, and whether a call from there works. */
async function rpcOf(d: Daemon): Promise<[string | undefined, string]> {
  const { env } = JSON.parse((await d.get("/env")).text);
  return [env.RR_RPC, (await d.get(LIST)).text];
}

const rpc = (listen: string): Yaml => ({ rpc: { listen } });

daemonTest("a reload that moves the address: new workers are told the new one", {
  config: (place) => workers({}, rpc(`unix://${place.dir}/one.sock`))(place),
  files: WORKER,
}, async (d) => {
  assertEquals(await rpcOf(d), [`unix://${d.path("one.sock")}`, '["http"]']);
  const moved = `tcp://127.0.0.1:${freePort()}`;
  for (const address of [`unix://${d.path("two.sock")}`, moved]) {
    d.configure(workers({}, rpc(address))(d));
    await d.ok("reload");
    assertEquals(await rpcOf(d), [address, '["http"]']);
  }
  // One that fails leaves everybody with the one in use.
  const failing = rpc(`tcp://127.0.0.1:${freePort()}`);
  d.configure(workers({ command: "php missing.php" }, failing)(d));
  assertEquals((await d.cli("reload")).code, 1);
  await d.ok("reset");
  assertEquals(await rpcOf(d), [moved, '["http"]']);

  d.configure(workers()(d));
  await d.ok("reload");
  assertEquals(JSON.parse((await d.get("/env")).text).env.RR_RPC, undefined);
  d.configure(workers({}, rpc(moved))(d));
  await d.ok("reload");
  assertEquals(await rpcOf(d), [moved, '["http"]']);
});

for (const kind of ["unix", "tcp"] as const) {
  const [relay, rpc] = kind === "tcp"
    ? [freePort(), freePort()].map((port) => () => `tcp://127.0.0.1:${port}`)
    : ["relay", "rpc"].map((name) => (dir: string) => `unix://${dir}/${name}.sock`);
  daemonTest(`after a SIGKILL of the daemon its addresses are taken over: ${kind}`, {
    config: (place) => {
      const { dir } = place;
      return workers({}, { server: { relay: relay(dir) }, rpc: { listen: rpc(dir) } })(place);
    },
    files: WORKER,
  }, async (d) => {
    await deployWorkers(d, "v1");
    await using held = await hold(d);
    d.kill("SIGKILL");
    await d.ended();
    assert(runs(held.pid));
    await d.start();
    await until("the old worker to be gone", () => !runs(held.pid));
    assertEquals(await rpcOf(d), [rpc(d.dir), '["http"]']);
    assertEquals((await d.get("/version")).text, "v1");
  });
}
