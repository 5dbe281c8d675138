/**
 * What the raw front refuses: everything that two servers could read differently. Each refusal is
 * answered, the connection closed, and nothing of it reaches a program.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { RawServer } from "../../../kit/raw_http.ts";
import { answering, ok, Proxy } from "../proxy_kit.ts";

const HOST = "Host: x\r\n";

/** Raw requests and the status they must get. */
const REFUSED: [name: string, request: string, status: number][] = [
  ["bare LF after the request line", `GET / HTTP/1.1\n${HOST}\r\n`, 400],
  ["bare LF after a field", `GET / HTTP/1.1\r\nHost: x\n\r\n`, 400],
  ["bare LF as empty line", `GET / HTTP/1.1\r\n${HOST}\n`, 400],
  ["CR without LF", `GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n`, 400],
  ["space before the colon", `GET / HTTP/1.1\r\n${HOST}X : y\r\n\r\n`, 400],
  ["space before the first field", `GET / HTTP/1.1\r\n ${HOST}\r\n`, 400],
  ["folded line", `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`, 400],
  ["name that is no token", `GET / HTTP/1.1\r\n${HOST}X(y): a\r\n\r\n`, 400],
  ["empty name", `GET / HTTP/1.1\r\n${HOST}: a\r\n\r\n`, 400],
  ["line without a colon", `GET / HTTP/1.1\r\n${HOST}nonsense\r\n\r\n`, 400],
  ["NUL in a value", `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`, 400],
  ["escape in a value", `GET / HTTP/1.1\r\n${HOST}X: a\x1bb\r\n\r\n`, 400],
  ["DEL in a value", `GET / HTTP/1.1\r\n${HOST}X: a\x7fb\r\n\r\n`, 400],
  ["control byte in the target", `GET /a\x01b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["tab in the target", `GET /a\tb HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["two spaces", `GET  / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["space in the target", `GET /a b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["method that is no token", `G@T / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["target without a slash", `GET index.html HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["star for GET", `GET * HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["unparsable host in the target", `GET http://[bad/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["user in the target", `GET http://a@b/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["empty host in the target", `GET http:///x HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["foreign scheme", `GET ftp://x/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ["no Host", `GET / HTTP/1.1\r\n\r\n`, 400],
  ["two Hosts", `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
  ["Host with a space", `GET / HTTP/1.1\r\nHost: a b\r\n\r\n`, 400],
  ["Host with a path", `GET / HTTP/1.1\r\nHost: a/b\r\n\r\n`, 400],
  ["Host with a list", `GET / HTTP/1.1\r\nHost: a,b\r\n\r\n`, 400],
  ["Host with letters for a port", `GET / HTTP/1.1\r\nHost: a:b\r\n\r\n`, 400],
  [
    "both lengths",
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    "both lengths, other order",
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["two lengths", `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, 400],
  [
    "the same length twice",
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\ncontent-length: 5\r\n\r\n`,
    400,
  ],
  ["list of lengths", `POST / HTTP/1.1\r\n${HOST}Content-Length: 5, 5\r\n\r\nhello`, 400],
  ["signed length", `POST / HTTP/1.1\r\n${HOST}Content-Length: +5\r\n\r\nhello`, 400],
  ["negative length", `POST / HTTP/1.1\r\n${HOST}Content-Length: -5\r\n\r\n`, 400],
  ["hexadecimal length", `POST / HTTP/1.1\r\n${HOST}Content-Length: 0x5\r\n\r\nhello`, 400],
  ["empty length", `POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n\r\n`, 400],
  [
    "length beyond numbers",
    `POST / HTTP/1.1\r\n${HOST}Content-Length: 99999999999999999999\r\n\r\n`,
    400,
  ],
  ["unknown coding", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip\r\n\r\n`, 400],
  ["coding list", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n`, 400],
  ["coding identity", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity\r\n\r\n`, 400],
  ["coding with a quirk", `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n`, 400],
  [
    "coding with vertical tab",
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: \x0bchunked\r\n\r\n`,
    400,
  ],
  [
    "two codings",
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    "coding in HTTP/1.0",
    `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["HTTP/0.9", `GET /\r\n`, 400],
  ["HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["HTTP/3", `GET / HTTP/3.0\r\n${HOST}\r\n`, 505],
  ["HTTP/1.2", `GET / HTTP/1.2\r\n${HOST}\r\n`, 505],
  ["lower-case version", `GET / http/1.1\r\n${HOST}\r\n`, 400],
  ["TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["CONNECT", `CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n`, 405],
  ["only empty lines", "\r\n".repeat(10), 400],
];

/** Chunked bodies that no reading saves: the program may see a beginning, never an end. */
const BAD_CHUNKS: [name: string, body: string][] = [
  ["no size", "\r\nhello\r\n0\r\n\r\n"],
  ["size with a sign", "+5\r\nhello\r\n0\r\n\r\n"],
  ["size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["size with a space before", " 5\r\nhello\r\n0\r\n\r\n"],
  ["size with a space behind", "5 \r\nhello\r\n0\r\n\r\n"],
  ["size with an underscore", "1_0\r\nhello\r\n0\r\n\r\n"],
  ["size beyond numbers", "fffffffffffffffff\r\nhello"],
  ["bare LF after the size", "5\nhello\r\n0\r\n\r\n"],
  ["bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"],
  ["bare LF after the data", "5\r\nhello\n0\r\n\r\n"],
  ["data longer than its size", "5\r\nhello!\r\n0\r\n\r\n"],
  ["endless extension", `5;${"a".repeat(300)}\r\nhello\r\n0\r\n\r\n`],
  ["bad trailer", "0\r\nX y\r\n\r\n"],
  ["folded trailer", "0\r\nX: y\r\n z\r\n\r\n"],
];

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
