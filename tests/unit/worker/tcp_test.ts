/** TCP workers on the kit: events and verbs. */

import { assertEquals, assertMatch } from "@std/assert";
import { request, RUNTIMES, Worker } from "./kit.ts";

const CONNECTION = {
  remote_addr: "127.0.0.1:50123",
  server: "server1",
  uuid: "6b1f5b1e-8a0d-4c1e-9b57-0d8a3d7c5f10",
};

function event(name: string, data = "") {
  return request(0, JSON.stringify({ ...CONNECTION, event: name }), data);
}

for (const runtime of RUNTIMES) {
  Deno.test(`${runtime}: events are answered with verbs`, async () => {
    await using worker = await Worker.start("tcp", { runtime });
    await worker.hello();
    // As in the reference, 13.10.
    const connected = await worker.ask(event("CONNECTED"));
    assertEquals(
      connected.hex,
      "14 00 08 00 00 00 c1 c9 31 ec 00 00 08 00 00 00 43 4f 4e 54 49 4e 55 45",
    );
    const said = async (data: string) => {
      const { flags, context, body } = await worker.ask(event("DATA", data));
      return [flags, context, body];
    };
    assertEquals(await said("echo me\r\n"), [0, "WRITE", "echo me\r\n"]);
    assertEquals(await said("bye\r\n"), [0, "WRITECLOSE", "bye\r\n"]);
    assertEquals(await said("close\r\n"), [0, "CLOSE", ""]);
    const { remote_addr: remoteAddr, server, uuid } = CONNECTION;
    assertEquals(await said("who\r\n"), [
      0,
      "WRITE",
      JSON.stringify({ remoteAddr, server, uuid }),
    ]);
    const [flags, , text] = await said("throw\r\n");
    assertEquals(flags, 0x40);
    assertMatch(text as string, /^Error: tcp broke/);
    assertEquals((await worker.ask(event("CLOSE"))).context, "CLOSE");
    assertEquals(await worker.stop(), 0);
  });
}
