/** Workers on the kit speak the protocol byte by byte, on every runtime and relay. */

import { assertEquals, assertMatch } from "@std/assert";
import { frame, get, hex, RELAYS, request, RUNTIMES, Worker } from "./kit.ts";

const PROBE = "13 09 0c 00 00 00 5f 0c 46 73 00 00 7b 22 70 69 64 22 3a 34 32 34 32 7d";
const STOP = "13 09 0d 00 00 00 3a 6b fa cb 00 00 7b 22 73 74 6f 70 22 3a 74 72 75 65 7d";
const LATE_STOP = "13 00 00 00 00 00 96 d1 80 34 02 00";
const LATE_PONG = "13 00 00 00 00 00 96 d1 80 34 08 00";

for (const runtime of RUNTIMES) {
  for (const relay of RELAYS) {
    Deno.test(`${runtime} over ${relay}: handshake, requests, probe, stop`, async () => {
      await using worker = await Worker.start("http", { runtime, relay });
      await worker.send(hex(PROBE));
      const hello = await worker.frame();
      assertEquals([hello.flags, hello.options, hello.bits], [0x01, [], 0]);
      assertEquals(JSON.parse(hello.body), { pid: worker.pid });

      const answer = await worker.ask(get("/hello"));
      assertEquals([answer.flags, answer.options], [0x08, [answer.context.length]]);
      assertEquals(JSON.parse(answer.context).status, 200);
      assertEquals(answer.body, "OK");

      // What comes too late is nothing, and a second handshake is answered again.
      await worker.send(hex(LATE_STOP + LATE_PONG));
      assertEquals(await worker.hello(), worker.pid);
      assertEquals((await worker.ask(get("/hello"))).body, "OK");

      await worker.send(hex(STOP));
      assertEquals(await worker.ended(), 0);
      assertMatch(worker.stderr, /closed\n$/);
    });
  }

  Deno.test(`${runtime}: nothing but frames reaches stdout over pipes`, async () => {
    await using worker = await Worker.start("http", { runtime });
    assertEquals(await worker.hello(), worker.pid);
    assertEquals((await worker.ask(get("/noise"))).body, "quiet");
    assertEquals(await worker.stop(), 0);
    for (const line of ["booted", "from console.log", "from process.stdout"]) {
      assertMatch(worker.stderr, new RegExp(`^${line}$`, "m"));
    }
  });

  Deno.test(`${runtime}: frames in pieces, a large body, two at once`, async () => {
    await using worker = await Worker.start("http", { runtime });
    await worker.hello();
    const bytes = get("/hello");
    for (const piece of [bytes.slice(0, 5), bytes.slice(5, 14), bytes.slice(14)]) {
      await worker.send(piece);
    }
    assertEquals((await worker.frame()).body, "OK");

    const body = "0123456789".repeat(100_000);
    const { body: echo } = await worker.ask(get("/echo", { method: "POST" }, body));
    assertEquals(JSON.parse(echo).body, body);

    await worker.send(new Uint8Array([...get("/hello"), ...get("/throws")]));
    assertEquals([(await worker.frame()).body, (await worker.frame()).flags], ["OK", 0x40]);
  });

  Deno.test(`${runtime}: a supervisor that is gone ends the worker`, async () => {
    await using worker = await Worker.start("http", { runtime });
    await worker.hello();
    await worker.leave();
    assertEquals(await worker.ended(), 1);
    assertMatch(worker.stderr, /worker: the supervisor is gone\nclosed\n$/);
  });

  Deno.test(`${runtime}: what is no frame ends the worker and is told`, async () => {
    const wrongSum = get("/hello");
    wrongSum[6] ^= 1;
    const cases: [Uint8Array, RegExp][] = [
      [wrongSum, /no frame header: 20 8 /],
      [hex("23 00 00 00 00 00 96 d1 80 34 08 00"), /no frame header: 35 0 /],
      [frame({ flags: 0x09, payload: '{"dance":true}' }), /commands "{"dance":true}"/],
      [frame({ payload: "abc" }), /a request with options \[\] and 3 bytes/],
      [frame({ options: [4], payload: "abc" }), /a request with options \[4\] and 3 bytes/],
    ];
    for (const [bytes, told] of cases) {
      await using worker = await Worker.start("http", { runtime });
      await worker.hello();
      await worker.send(bytes);
      assertEquals(await worker.ended(), 1);
      assertMatch(worker.stderr, told);
    }
  });
}

Deno.test("a frame that breaks off ends the worker and is told", async () => {
  await using worker = await Worker.start("http");
  await worker.hello();
  await worker.send(request(0x08, "{}").slice(0, 17));
  await worker.leave();
  assertEquals(await worker.ended(), 1);
  assertMatch(worker.stderr, /the supervisor closed inside a frame/);
});

Deno.test("a worker of another plugin, or without a relay to reach, says so", async () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ RR_MODE: "jobs" }, /started for "jobs" \(RR_MODE\), but answers http only/],
    [{ RR_RELAY: "unix:///nowhere/relay.sock" }, /cannot reach .*RR_RELAY="unix:\/\/\/nowhere/],
    [{ RR_RELAY: "smoke" }, /RR_RELAY="smoke" is no relay; there are pipes,/],
  ];
  for (const [env, told] of cases) {
    await using worker = await Worker.start("http", { env });
    assertEquals(await worker.ended(), 1);
    assertMatch(worker.stderr, told);
  }
});

Deno.test("the kit needs no compiling: nothing of its syntax but types goes away", async () => {
  const config = await Deno.makeTempFile({ suffix: ".json" });
  const compilerOptions = { erasableSyntaxOnly: true, verbatimModuleSyntax: true, strict: true };
  await Deno.writeTextFile(config, JSON.stringify({ compilerOptions }));
  const { pathname } = new URL("../../../worker/mod.ts", import.meta.url);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--no-lock", `--config=${config}`, pathname],
  }).output();
  await Deno.remove(config);
  assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
});
