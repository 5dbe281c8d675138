/** Jobs in a file on a disk that is full, or may not be written, at the real daemon. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startDaemon } from "../kit/daemon.ts";
import { deliveries, emptied, JOB_WORKER, jobs, pipelineOf, push, rpc } from "../kit/jobs.ts";
import { freePort } from "../kit/ports.ts";
import { smallDisk, smallDiskTest } from "../kit/small_disk.ts";
import { until } from "../kit/wait.ts";

const STATUS = `127.0.0.1:${freePort()}`;

const ON_DISK = jobs({
  pipelines: {
    mail: { driver: "sqlite", config: { file: "disk/jobs.db" } },
    near: { driver: "memory" },
  },
  consume: ["mail", "near"],
  timeout: "2s",
}, { status: { address: STATUS } });

async function ready(): Promise<{ code: number; said: string }> {
  const response = await fetch(`http://${STATUS}/ready?plugin=jobs`);
  const [{ error_message }] = await response.json();
  return { code: response.status, said: error_message };
}

/** Takes what room there is. */
function fill(file: string): void {
  using ballast = Deno.openSync(file, { create: true, append: true });
  try {
    for (;;) ballast.writeSync(new Uint8Array(4096));
  } catch (error) {
    assertStringIncludes((error as Error).message, "No space");
  }
}

smallDiskTest(
  "a full disk: pushes are refused, who asks hears why, and all goes on after",
  async () => {
    await using d = await startDaemon({ config: ON_DISK, files: JOB_WORKER, start: false });
    using _disk = smallDisk(d.path("disk"), "1m");
    await d.start();
    const before = await push(d, "log", d.path("log"));
    await emptied(d);
    assertEquals((await ready()).code, 200);
    fill(d.path("disk/ballast"));
    const big = {
      job: "size",
      id: "1",
      payload: btoa("x".repeat(300_000)),
      options: { pipeline: "mail" },
    };
    const { error } = await rpc(d, "jobs.Push", { job: big });
    assertStringIncludes(error!, "full");
    await d.ok("jobs", "push", "near", "log", "--payload", d.path("near"));
    await until("a job of the other pipeline", () => d.read("near"));
    assert((await d.cli("status")).code === 0);
    Deno.removeSync(d.path("disk/ballast"));
    const after = await push(d, "log", d.path("log"));
    await until("the job after", () => deliveries(d).includes(after));
    await emptied(d);
    assertEquals(deliveries(d)[0], before);
    assertEquals((await pipelineOf(d)).ready, true);
    assertEquals((await ready()).code, 200);
  },
);

smallDiskTest("a disk that may not be written: a reload and serve say so", async () => {
  await using d = await startDaemon({ config: jobs(), files: JOB_WORKER });
  using _disk = smallDisk(d.path("disk"), "1m");
  const remount = (how: string) => d.run(["mount", "-o", `remount,${how}`, d.path("disk")]);
  assertEquals((await remount("ro")).code, 0);
  d.configure(ON_DISK);
  const { code, stderr } = await d.cli("reload");
  assert(code === 1 || code === 3, `${code}`);
  assertStringIncludes(stderr, d.path("disk/jobs.db"));
  assertStringIncludes(stderr, "\nfix: ");
  await push(d, "log", d.path("log"));
  await until("a job of what was in force", () => d.read("log"));
  d.kill("SIGTERM");
  await d.ended();
  d.launch();
  assertEquals((await d.ended()).code, 1);
  assertStringIncludes(d.output(), d.path("disk/jobs.db"));
  assertEquals((await remount("rw")).code, 0);
  await d.start();
  await until("readiness", async () => (await ready()).code === 200);
});
