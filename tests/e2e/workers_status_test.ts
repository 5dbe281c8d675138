/** What load balancers and orchestrators hear while workers start, work, fail, and drain. */

import { assertEquals, assertMatch } from "@std/assert";
import { type Daemon, daemonTest, startDaemon } from "../kit/daemon.ts";
import { Fifo } from "../kit/gate.ts";
import { freePort } from "../kit/ports.ts";
import { until } from "../kit/wait.ts";
import { hold, pidsOf, WORKER, workers, workerScript } from "../kit/workers.ts";

const port = freePort();
const STATUS = { status: { address: `127.0.0.1:${port}` } };

/** Status code and text of an answer of the status address. */
async function ask(path: string): Promise<[number, string]> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return [response.status, (await response.text()).trim()];
}

/** Codes of all questions. */
async function codes() {
  const code = async (path: string) => (await ask(path))[0];
  return {
    health: await code("/health?plugin=http"),
    ready: await code("/ready?plugin=http"),
    livez: await code("/livez"),
    readyz: await code("/readyz"),
  };
}

const GOOD = { health: 200, ready: 200, livez: 200, readyz: 200 };

/** Waits for codes. */
function become(wanted: Awaited<ReturnType<typeof codes>>): Promise<boolean> {
  return until(`status ${JSON.stringify(wanted)}`, async () => {
    const now = await codes();
    return Object.entries(wanted).every(([name, code]) => now[name as keyof typeof now] === code);
  });
}

Deno.test("from the first moment: alive, and ready once the workers are", async () => {
  await using d: Daemon = await startDaemon({ config: workers({}, STATUS), start: false });
  await using gate = new Fifo(d.path("gate"));
  d.write(
    "worker.php",
    workerScript(`$one = fopen('${gate.path}', 'r');
    stream_set_read_buffer($one, 0); fread($one, 3);`),
  );
  d.launch();
  await until("the status address", () => ask("/livez").then(() => true, () => false));
  assertEquals(await codes(), { health: 503, ready: 503, livez: 200, readyz: 503 });
  assertEquals(JSON.parse((await ask("/readyz"))[1]).status, "starting");
  gate.release(2);
  await become(GOOD);
});

daemonTest("busy workers live but are not ready; dead ones neither", {
  config: workers({ num_workers: 1 }, STATUS),
  files: WORKER,
}, async (d) => {
  assertEquals(await codes(), GOOD);
  const held = await hold(d);
  assertEquals(await codes(), { health: 200, ready: 503, livez: 200, readyz: 503 });
  assertMatch((await ask("/ready"))[1], /all workers of \\"http\\" are busy/);
  await held.finish();
  await held[Symbol.asyncDispose]();
  await become(GOOD);

  // A crash loop: what replaces it does not come up.
  d.write("worker.php", "<?php exit(4);");
  for (const pid of await pidsOf(d)) Deno.kill(pid, "SIGKILL");
  await become({ health: 503, ready: 503, livez: 200, readyz: 503 });
  assertMatch((await ask("/health"))[1], /no worker of \\"http\\" is alive/);
  d.write("worker.php", WORKER["worker.php"]);
  await become(GOOD);
});

daemonTest("draining: alive to the very end, ready no more", {
  config: workers({}, STATUS),
  files: WORKER,
}, async (d) => {
  await using held = await hold(d);
  d.kill("SIGTERM");
  await become({ health: 200, ready: 503, livez: 200, readyz: 503 });
  assertMatch((await ask("/livez"))[1], /draining/);
  assertMatch((await ask("/health"))[1], /draining/);
  await held.finish();
  assertEquals((await d.ended()).code, 0);
});

daemonTest("a reset and a deploy are never seen as unready or dead", {
  config: workers({ num_workers: 2 }, STATUS),
  files: WORKER,
}, async (d) => {
  let over = false;
  const work = (async () => {
    await d.ok("reset");
    d.write("releases/v1/worker.php", WORKER["worker.php"]);
    await d.ok("deploy", "--release-path", d.path("releases/v1"), "--wait");
  })().finally(() => over = true);
  const seen = new Set<string>();
  while (!over) seen.add(JSON.stringify(await codes()));
  await work;
  assertEquals([...seen], [JSON.stringify(GOOD)]);
});
