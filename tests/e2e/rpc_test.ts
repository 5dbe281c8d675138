/** PHP clients call a running daemon: its workers, their reset, services, the log. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { daemonTest } from "../kit/daemon.ts";
import { callFromPhp, type PhpCall } from "../kit/php_rpc.ts";
import { freePort } from "../kit/ports.ts";
import { fixture, type Yaml } from "../kit/programs.ts";
import { until } from "../kit/wait.ts";
import type { Place } from "../kit/daemon_options.ts";

const NOBODY = 65534;
const isRoot = Deno.uid() === 0;

/** Two PHP workers, run as nobody where that is possible. */
function config({ dir }: Place): Yaml {
  return {
    server: {
      command: ["php", "hello.php"],
      ...(isRoot && { user: "nobody" }),
    },
    http: { address: `127.0.0.1:${freePort()}`, pool: { num_workers: 2 } },
    rpc: { listen: `unix://${dir}/rpc.sock` },
    service: { clock: { command: "sleep 1000" } },
  };
}

const files = Object.fromEntries(
  ["hello.php", "http_wire.php"].map((
    name,
  ) => [name, Deno.readTextFileSync(fixture(`php/${name}`))]),
);

interface Worker {
  pid: number;
  statusStr: string;
}

daemonTest("workers: listed, reset, one more, one less", { config, files }, async (d) => {
  const address = `unix://${d.path("rpc.sock")}`;
  const made = (...calls: PhpCall[]) => callFromPhp(address, calls);
  const workers = async () => {
    const [{ json }] = await made(["informer.Workers", { json: "http" }]);
    return (json as { workers: Worker[] }).workers.map(({ pid }) => pid);
  };
  const { mode, uid } = Deno.lstatSync(d.path("rpc.sock"));
  assertEquals([mode! & 0o777, uid], [0o600, isRoot ? NOBODY : Deno.uid()]);

  const before = await workers();
  assertEquals(before.length, 2);
  for (const pid of before) assertEquals(uidOf(pid), uid);
  assertEquals(await made(["resetter.Reset", { json: "http" }]), [{ json: true }]);
  const after = await workers();
  assertEquals(after.length, 2);
  for (const pid of after) assert(!before.includes(pid));

  assertEquals(await made(["informer.AddWorker", { json: "http" }]), [{ json: false }]);
  assertEquals((await workers()).length, 3);
  const less: PhpCall = ["informer.RemoveWorker", { json: "http" }];
  assertEquals(await made(less, less, less), Array(3).fill({ json: false }));
  assertEquals((await workers()).length, 1);
});

daemonTest("services and the log", { config, files }, async (d) => {
  const address = `unix://${d.path("rpc.sock")}`;
  const made = (...calls: PhpCall[]) => callFromPhp(address, calls);
  const statuses: PhpCall = ["service.Statuses", { json: { name: "mine" } }];
  const [created, listed, { json }] = await made(
    ["service.Create", { json: { name: "mine", command: "sleep 1000" } }],
    ["service.List", { json: {} }],
    statuses,
  );
  assertEquals(created, { json: { message: "", ok: true } });
  assertEquals(listed, { json: { services: ["clock", "mine"] } });
  const [{ pid }] = (json as { status: Worker[] }).status;
  // Who may call is a worker's user: it must not become the daemon's.
  assertEquals(uidOf(pid), isRoot ? NOBODY : Deno.uid());

  const [restarted, again, terminated, gone] = await made(
    ["service.Restart", { json: { name: "mine" } }],
    statuses,
    ["service.Terminate", { json: { name: "mine" } }],
    statuses,
  );
  assertEquals([restarted, terminated], Array(2).fill(created));
  assertNotEquals((again.json as { status: Worker[] }).status[0].pid, pid);
  assertEquals(gone, { error: "no such service: mine" });

  await made(["app.Warning", { json: "from PHP" }]);
  await until("the line in the log", () => d.output().includes("from PHP"));
});

daemonTest("without a section for services clients can make none", {
  config: (place) => {
    const { service: _, ...rest } = config(place);
    return rest;
  },
  files,
}, async (d) => {
  const create: PhpCall = ["service.Create", { json: { name: "mine", command: "sleep 1000" } }];
  const [refused] = await callFromPhp(`unix://${d.path("rpc.sock")}`, [create]);
  const text = 'services are off: there is no section "service" in the configuration';
  assertEquals(refused, { error: text });
});

daemonTest("a reload moves the address", { config, files }, async (d) => {
  const moved = `unix://${d.path("moved.sock")}`;
  d.configure({
    ...config({ dir: d.dir, port: d.port, socket: d.socket }),
    rpc: { listen: moved },
  });
  await d.ok("reload");
  const [listed] = await callFromPhp(moved, [["informer.List", { json: true }]]);
  assertEquals(listed, { json: ["http"] });
});

/** Real user of a process. */
function uidOf(pid: number): number {
  return Number(/^Uid:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]);
}
