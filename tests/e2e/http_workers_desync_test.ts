/**
 * Requests that two servers could read differently never reach a worker, nor does what is hidden
 * behind them; what does reach one has the bounds that its client meant.
 */

import { assertEquals } from "@std/assert";
import { echoOf, httpTest, type Site } from "../kit/http_workers.ts";
import { BAD_CHUNKS, HOST, REFUSED } from "../kit/refused_requests.ts";

const HIDDEN = `GET /hidden HTTP/1.1\r\n${HOST}\r\n`;

/** How many requests the workers were given. */
async function jobs({ daemon }: Site): Promise<number> {
  return (await daemon.ok("workers", "--json")).json().workers[0].jobs;
}

httpTest("what is refused, and what is hidden behind it, reaches no worker", {}, async (site) => {
  for (const [name, request, status] of REFUSED) {
    using client = await site.connect();
    await client.send(request + HIDDEN);
    assertEquals([name, (await client.message()).status], [name, status]);
    assertEquals((await client.rest()).includes("HTTP/1.1"), false, name);
  }
  const chunked = `POST /echo HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`;
  for (const [name, body] of BAD_CHUNKS) {
    using client = await site.connect();
    await client.send(chunked + body + HIDDEN);
    assertEquals([name, (await client.message()).status], [name, 400]);
    assertEquals((await client.rest()).includes("HTTP/1.1"), false, name);
  }
  assertEquals(await jobs(site), 0);
});

httpTest("pipelined requests: each its own body, in their order", {}, async (site) => {
  const requests = Array.from({ length: 60 }, (_, i) => {
    const body = `body ${i} ${HIDDEN}`;
    const size = body.length.toString(16);
    const head = `POST /echo?${i} HTTP/1.1\r\n${HOST}`;
    return i % 3 === 0
      ? [`${head}Content-Length: ${body.length}\r\n\r\n${body}`, body]
      : i % 3 === 1
      ? [`${head}Transfer-Encoding: chunked\r\n\r\n${size}\r\n${body}\r\n0\r\n\r\n`, body]
      : [`GET /echo?${i} HTTP/1.1\r\n${HOST}\r\n`, ""];
  });
  using client = await site.connect();
  const all = requests.map(([text]) => text).join("");
  // In pieces that end anywhere.
  for (let at = 0; at < all.length; at += 997) await client.send(all.slice(at, at + 997));
  for (const [i, [, body]] of requests.entries()) {
    const seen = echoOf(await client.message());
    assertEquals([seen.context.rawQuery, atob(seen.body)], [String(i), body]);
  }
  assertEquals(client.unread, "");
  assertEquals(await jobs(site), requests.length);
});

httpTest("bodies that a worker does not get are not the next request", {}, async (site) => {
  using client = await site.connect();
  for (const method of ["OPTIONS", "HEAD", "GET", "DELETE"]) {
    await client.request(`${method} /pid HTTP/1.1`, "Host: x", `Content-Length: ${HIDDEN.length}`);
    // Also when it comes late: whoever sends it has not been told that the connection ends.
    assertEquals((await site.ask("GET /pid")).status, 200);
    await client.send(HIDDEN);
    assertEquals((await client.message(method)).status, 200, method);
  }
  assertEquals(await jobs(site), 8);
});
