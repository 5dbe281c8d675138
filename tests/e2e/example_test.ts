/**
 * The example application, with the commands that the README tells a new user to type.
 *
 * It is a copy with an address, ports and places of its own; everything else is as it stands there.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { copyTree } from "../kit/copy_tree.ts";
import { type Daemon, startDaemon, supervisor } from "../kit/daemon.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const EXAMPLE = "examples/hello";
const CONFIG = `${EXAMPLE}/supervisor.yaml`;

/** Commands of ours in the first part of the README, without the program's name. */
function commandsOfReadme(): string[][] {
  const readme = Deno.readTextFileSync(join(ROOT, "README.md"));
  const part = readme.slice(readme.indexOf("## Try it"), readme.indexOf("## Use it"));
  return part.split("\n").filter((line) => line.startsWith("./supervisor "))
    .map((line) => line.split(" ").slice(1));
}

/** The text with `old` replaced, which must stand in it exactly once. */
function replaced(text: string, old: string, by: string): string {
  assertEquals(text.split(old).length, 2, old);
  return text.replace(old, by);
}

/** Puts a copy of the example into the daemon's directory. */
function takeExample(d: Daemon): void {
  copyTree(join(ROOT, EXAMPLE), d.path(EXAMPLE));
  let text = d.read(CONFIG)!;
  text = replaced(text, "127.0.0.1:8182", `127.0.0.1:${d.port}`);
  text = replaced(text, "port: 18182-18199", "port: 0");
  text = replaced(text, "socket: .supervisor/control.sock", `socket: ${d.socket}`);
  d.write(CONFIG, text);
}

/** The example is for Node; where there is none, Deno stands in for it. */
async function haveNode(d: Daemon): Promise<void> {
  const { code } = await d.run(["/bin/sh", "-c", "command -v node"]);
  if (code !== 0) d.write("bin/node", `#!/bin/sh\nexec "${Deno.execPath()}" run -A "$@"\n`, 0o755);
}

/** Serves v1 of the example as `deno task start` does, but detached. */
async function serve(d: Daemon): Promise<void> {
  const release = ["--release-path", `${EXAMPLE}/releases/v1`, "--release-id", "v1"];
  const words = [...supervisor(), "serve", "--detach", "-c", CONFIG, ...release];
  const { code, stderr } = await d.run(
    ["/bin/sh", "-c", 'PATH="$PWD/bin:$PATH" exec "$@"', "sh", ...words],
  );
  assertEquals(code, 0, stderr);
}

Deno.test("the example is served, deployed and rolled back by the commands of the README", async () => {
  await using d = await startDaemon({
    start: false,
    // So that the end of this test finds the daemon, whatever happened before.
    config: { processes: { example: { command: "true" } } },
  });
  takeExample(d);
  await haveNode(d);
  await serve(d);
  assertEquals((await d.get()).text, "Hello from v1, version v1\n");

  const commands = commandsOfReadme();
  assertEquals(commands.map(([name]) => name), ["deploy", "status", "rollback"]);
  const [deploy, status, rollback] = commands;

  const deployed = await d.ok(...deploy);
  assertMatch(deployed.stdout, /^v2 is live after .*before: v1\n$/);
  assertEquals((await d.get()).text, "Hello from v2, version v2\n");

  const shown = await d.ok(...status);
  for (const word of ["hello", "v2", "active", "web", "worker", "running"]) {
    assertStringIncludes(shown.stdout, word);
  }

  await d.ok(...rollback);
  assertEquals((await d.get()).text, "Hello from v1, version v1\n");

  const logs = await d.ok("logs", "-c", CONFIG, "--process", "worker");
  assertStringIncludes(logs.stdout, "worker v2 starts");
  const nobody = await d.cli("logs", "-c", CONFIG, "--process", "wroker");
  assertEquals([nobody.code, nobody.stdout], [1, ""]);
  assertStringIncludes(nobody.stderr, "processes: web, worker");
});

Deno.test("a Server-Sent Event stream and a slow answer of the example outlast a deploy", async () => {
  await using d = await startDaemon({
    start: false,
    config: { processes: { example: { command: "true" } } },
  });
  takeExample(d);
  await haveNode(d);
  await serve(d);

  const slow = d.get("/slow");
  const stream = await fetch(`http://127.0.0.1:${d.port}/events`);
  const lines = stream.body!.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  assertStringIncludes((await lines.next()).value ?? "", "data: v1");

  const path = ["--release-path", `${EXAMPLE}/releases/v2`, "--release-id", "v2"];
  await d.ok("deploy", "-c", CONFIG, ...path);
  assertEquals((await d.get()).text, "Hello from v2, version v2\n");
  // The old release finishes what it holds; a stream goes on until drain_timeout.
  assertStringIncludes((await lines.next()).value ?? "", "data: v1");
  assertEquals(await slow, { status: 200, text: "v1, at last\n" });
  await lines.return?.();
});
