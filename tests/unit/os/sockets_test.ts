import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ephemeralPort, listenersOf, parseListeners, portState } from "../../../lib/os/sockets.ts";
import { Scratch } from "../../kit/scratch.ts";
import { until } from "../../kit/wait.ts";
import { sentenceOf, TestMachine } from "./machine.ts";

const listen = (hostname: string, port = 0) => {
  const listener = Deno.listen({ hostname, port });
  return { listener, port: (listener.addr as Deno.NetAddr).port };
};

// A program that another test starts at this moment holds our sockets until its exec, so what is
// closed may take a moment to be gone.
const closed = (port: number) => until("nobody listens", () => listenersOf(port).length === 0);

Deno.test("a listener is found with its address and its holder, also IPv6", async () => {
  const four = listen("127.0.0.1");
  const six = listen("::1");
  const all = listen("::");
  try {
    for (const [{ port }, host] of [[four, "127.0.0.1"], [six, "[::1]"], [all, "[::]"]] as const) {
      const [found, ...others] = listenersOf(port);
      assertEquals([found.address, others], [`${host}:${port}`, []]);
      // Whoever is just being started by another test holds it for a moment, too.
      assert(found.pids.includes(Deno.pid));
    }
    assertEquals(listenersOf(four.port, [1, Deno.pid])[0].pids, [Deno.pid]);
  } finally {
    for (const { listener } of [four, six, all]) listener.close();
  }
  await closed(four.port);
});

Deno.test("a connection is no listener", async () => {
  const { listener, port } = listen("127.0.0.1");
  const [client, accepted] = await Promise.all([Deno.connect({ port }), listener.accept()]);
  listener.close();
  await closed(port);
  client.close();
  accepted.close();
});

Deno.test("the listener of another program is found among all processes", async () => {
  using scratch = new Scratch();
  await using machine = new TestMachine();
  const script = scratch.write(
    "listen.ts",
    `const l = Deno.listen({ hostname: "127.0.0.1", port: 0 });
     console.log(l.addr.port); await new Promise(() => setInterval(() => {}, 1000));`,
  );
  const out = scratch.path("out");
  const child = machine.spawn(
    ["sh", "-c", `"${Deno.execPath()}" run -A --no-config ${script}; exit`],
    {
      env: { PATH: "/usr/bin:/bin", HOME: scratch.dir, DENO_DIR: scratch.path("deno") },
      output: { stdout: out, stderr: out },
    },
  );
  const port = await until("its port", () => Number(scratch.read("out")) || undefined);
  const [{ pids }] = machine.system.listeners(port);
  assertEquals(pids.length, 1);
  assert(machine.members(child).includes(pids[0]) && pids[0] !== child.pid);
  assertEquals(machine.system.listeners(port, machine.members(child)), [{
    address: `127.0.0.1:${port}`,
    pids,
  }]);
});

Deno.test("parseListeners reads the kernel's tables, hosts and states", () => {
  const line = (local: string, state: string, inode: number) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0`;
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    line("0100007F:0050", "0A", 7),
    line("0100007F:0050", "01", 8),
    line("00000000:1F90", "0A", 9),
    line("0000000000000000FFFF00000100007F:0050", "0A", 10),
    line("B80D0120000000000000000001000000:0050", "0A", 11),
  ].join("\n");
  assertEquals(parseListeners(table, 80), [
    { address: "127.0.0.1:80", inode: "7" },
    { address: "[::ffff:7f00:1]:80", inode: "10" },
    { address: "[2001:db8::1]:80", inode: "11" },
  ]);
  assertEquals(parseListeners(table, 8080), [{ address: "0.0.0.0:8080", inode: "9" }]);
  assertEquals(parseListeners("", 80), []);
});

Deno.test("portState: free, in use, or why not", async () => {
  const { listener, port } = listen("127.0.0.1");
  assertEquals(portState("127.0.0.1", port), "in_use");
  listener.close();
  const free = () => until("it is free", () => portState("127.0.0.1", port) === "free");
  await free();
  await free(); // the probe itself leaves nothing behind
  assertEquals(portState("192.0.2.1", port), {
    refused: "no interface of this machine has this address",
  });
});

Deno.test("ephemeralPort gives a port that is free", async () => {
  const port = ephemeralPort("127.0.0.1");
  await until("it is free", () => portState("127.0.0.1", port) === "free");
  assertStringIncludes(
    sentenceOf(() => ephemeralPort("192.0.2.1")),
    `cannot find a free port on "192.0.2.1": no interface`,
  );
});
