/**
 * Moving in from the real PM2: its ecosystem file is imported as it runs, its apps are taken from it by
 * its own command, and it keeps the others.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { freePort } from "../kit/ports.ts";
import { Pm2, pm2Test } from "../kit/pm2.ts";
import { program } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";

const API = `require("http").createServer((_, answer) => answer.end("api of " + process.env.WHO))
  .listen(process.env.PORT, "127.0.0.1");
`;

/** Of near names, and one in a namespace that is called as an app is. */
const ecosystem = (port: number) =>
  `module.exports = { apps: [
  { name: "api", script: "api.js", env: { PORT: ${port}, WHO: "old" } },
  { name: "api2", script: "/bin/sleep", args: "8301", interpreter: "none" },
  { name: "near", namespace: "api", script: "/bin/sleep", args: "8302", interpreter: "none" },
  { name: "tick", script: "/bin/sleep", args: "8303", interpreter: "none" },
] };
`;

const taking = (...names: string[]) => ({
  start: false,
  config: {
    processes: { worker: { command: program("worker.sh") } },
    legacy_takeover: { pm2: names },
  },
});

pm2Test(
  "apps of exactly these names are taken from PM2, and all others stay",
  taking("api", "tick", "all", "0", "default", "gone"),
  async (d) => {
    await using pm2 = new Pm2(d);
    const cleaned = async () =>
      (await d.ok("predeploy-cleanup", "--json")).json().taken_over.keepers
        .map((one: { program: string; result: string }) => `${one.program} ${one.result}`);
    const nothing = ["api", "tick", "all", "0", "default", "gone"].map((name) =>
      `${name} not running`
    );
    assertEquals(await cleaned(), nothing);
    assertEquals(pm2.legacy.alive(/PM2/), [], "its daemon was not started to be asked");

    d.write("api.js", API);
    d.write("ecosystem.config.js", ecosystem(freePort()));
    await pm2.ok("start", "ecosystem.config.js");
    await pm2.legacy.up(/sleep 830\d$/, 3);
    const plan = await d.ok("predeploy-cleanup", "--dry-run");
    assertMatch(plan.stdout, /^pm2 api: would run pm2 delete with the ids of pm2 id api$/m);
    assertEquals((await pm2.names()).length, 4);

    assertEquals(await cleaned(), ["api stopped", "tick stopped", ...nothing.slice(2)]);
    assertEquals(await pm2.names(), ["api2", "near"]);
    assertEquals(pm2.legacy.alive(/api\.js$/), []);
    assertEquals(pm2.legacy.alive(/sleep 8303$/), []);
    assertEquals(pm2.legacy.alive(/sleep 830[12]$/).length, 2);
    assertEquals(await cleaned(), nothing);
  },
);

pm2Test(
  "an ecosystem file that PM2 runs is imported, and its app moves over",
  taking("api", "api2", "near", "tick"),
  async (d) => {
    await using pm2 = new Pm2(d);
    const port = freePort();
    d.write("api.js", API);
    d.write("ecosystem.config.js", ecosystem(port));
    await pm2.ok("start", "ecosystem.config.js");
    const answer = () => fetch(`http://127.0.0.1:${port}/`).then((r) => r.text(), () => undefined);
    await until("the app under PM2", async () => await answer() === "api of old");

    const { stdout, stderr } = await d.ok("import", "ecosystem.config.js");
    assertMatch(stderr, /namespace/);
    d.write("imported.yaml", stdout.replace("old", "new"));
    const here = [
      ...["-c", "imported.yaml", "-o", `state_dir=${d.path("state")}`],
      ...["-o", `control.socket=${d.socket}`],
    ];
    await d.ok("validate", ...here);
    await d.ok("predeploy-cleanup");
    assertEquals(await pm2.names(), []);
    assertEquals(await answer(), undefined);

    await d.ok("serve", "--detach", ...here, "--release-path", ".");
    assertEquals(await answer(), "api of new");
    const { releases } = await d.status();
    assertEquals(releases[0].processes.map(({ id }) => id).sort(), ["api", "api2", "near", "tick"]);
    assert(releases[0].processes.every(({ state }) => state === "running"));
    await d.ok("shutdown", ...here);
  },
);
