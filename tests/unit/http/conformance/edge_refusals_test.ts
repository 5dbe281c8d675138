/**
 * What the raw front refuses: everything that two servers could read differently. Each refusal is
 * answered, the connection closed, and nothing of it reaches a program.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { RawServer } from "../../../kit/raw_http.ts";
import { BAD_CHUNKS, HOST, REFUSED } from "../../../kit/refused_requests.ts";
import { answering, ok, Proxy } from "../proxy_kit.ts";

for (const [name, request, status] of REFUSED) {
  Deno.test(`http edge: refused with ${status}: ${name}`, async () => {
    let reached = 0;
    await using program = answering(() => {
      reached++;
      return ok("");
    });
    await using proxy = new Proxy([program.port]);
    using client = await proxy.connect();
    await client.send(request);
    const answer = await client.message();
    assertEquals(answer.status, status);
    assertEquals(answer.get("connection"), "close");
    assertEquals(await client.ended(), "end");
    assertEquals(reached, 0);
    assertEquals(proxy.told("proxy_refused").length, 1);
  });
}

for (const [name, body] of BAD_CHUNKS) {
  Deno.test(`http edge: chunked body refused: ${name}`, async () => {
    await using program = answering(() => ok("never"));
    await using proxy = new Proxy([program.port], {
      handler: async (exchange) => {
        while (await exchange.body.pull());
      },
    });
    using client = await proxy.connect();
    await client.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${body}`);
    const answer = await client.message();
    assertEquals(answer.status, 400);
    assertEquals(await client.ended(), "end");
  });
}

Deno.test("http edge: a bad chunk cuts the program's connection too", async () => {
  const began = Promise.withResolvers<string>();
  const saw = Promise.withResolvers<string>();
  await using program = new RawServer(async (peer) => {
    began.resolve(await peer.until("hello\r\n"));
    saw.resolve(await peer.rest());
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
  await client.send("5\r\nhello\r\n");
  assertMatch(await began.promise, /Transfer-Encoding: chunked\r\n/);
  await client.send("XX\r\n");
  assertEquals((await client.message()).status, 400);
  assertEquals(await saw.promise, "");
});

Deno.test("http edge: a request behind a refused one is not served", async () => {
  let reached = 0;
  await using program = answering(() => {
    reached++;
    return ok("");
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.send(
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n` +
      `0\r\n\r\nGET /smuggled HTTP/1.1\r\n${HOST}\r\n`,
  );
  assertEquals((await client.message()).status, 400);
  assertEquals(await client.rest(), "");
  assertEquals(reached, 0);
});

Deno.test("http edge: limits of head, line, fields and body", async () => {
  await using program = answering(() => ok("fine"));
  const limits = { header_bytes: 1024, headers: 10, body: 100 };
  await using proxy = new Proxy([program.port], { limits });
  const status = async (request: string) => {
    using client = await proxy.connect();
    await client.send(request);
    return (await client.message()).status;
  };
  const fields = (count: number) => "X: y\r\n".repeat(count);
  assertEquals(await status(`GET / HTTP/1.1\r\n${HOST}X: ${"a".repeat(2000)}\r\n\r\n`), 431);
  assertEquals(await status(`GET /${"a".repeat(2000)} HTTP/1.1\r\n${HOST}\r\n`), 414);
  assertEquals(await status(`GET / HTTP/1.1\r\n${HOST}${fields(10)}\r\n`), 431);
  assertEquals(await status(`GET / HTTP/1.1\r\n${HOST}${fields(9)}\r\n`), 200);
  assertEquals(await status(`POST / HTTP/1.1\r\n${HOST}Content-Length: 101\r\n\r\n`), 413);
  assertEquals(
    await status(
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n65\r\n${"a".repeat(101)}\r\n`,
    ),
    413,
  );
});

Deno.test("http edge: a head of 60 KB passes, in one piece and byte by byte pieces", async () => {
  await using program = answering((head) => ok(String(head.length > 60_000)));
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  const request = `GET / HTTP/1.1\r\n${HOST}X: ${"a".repeat(60_000)}\r\n\r\n`;
  for (const size of [request.length, 1000, 7777]) {
    for (let at = 0; at < request.length; at += size) {
      await client.send(request.slice(at, at + size));
    }
    assertEquals((await client.message()).body, "true");
  }
});
