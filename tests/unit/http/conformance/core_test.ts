/**
 * What both fronts must do: the same client sees the same answers from `raw` and `serve`.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { RawServer, textOf } from "../../../kit/raw_http.ts";
import { answering, echo, ok, Proxy } from "../proxy_kit.ts";

for (const kind of ["raw", "serve"] as const) {
  const test = (name: string, run: () => Promise<void>) =>
    Deno.test(`http core ${kind}: ${name}`, run);

  test("keep-alive: many requests on one connection, one upstream connection", async () => {
    await using program = answering((head) => ok(head.split(" ")[1]));
    await using proxy = new Proxy([program.port], { kind });
    using client = await proxy.connect();
    for (let i = 0; i < 5; i++) {
      await client.request(`GET /${i}?a=b HTTP/1.1`, "Host: x");
      assertEquals((await client.message()).body, `/${i}?a=b`);
    }
    assertEquals(program.accepted, 1);
  });

  test("request body with Content-Length and in chunks", async () => {
    await using program = echo();
    await using proxy = new Proxy([program.port], { kind });
    using client = await proxy.connect();
    await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assertMatch((await client.message()).body, /hello$/);
    await client.send(
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    assertEquals(unchunk((await client.message()).body), "hello world");
  });

  test("HEAD, 204 and 304 have no body and keep the connection", async () => {
    await using program = answering((head) => {
      if (head.startsWith("HEAD")) return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
      const status = head.split(" ")[1].slice(1);
      return `HTTP/1.1 ${status} x\r\n\r\n`;
    });
    await using proxy = new Proxy([program.port], { kind });
    using client = await proxy.connect();
    await client.request("HEAD / HTTP/1.1", "Host: x");
    assertEquals((await client.message("HEAD")).status, 200);
    for (const status of [204, 304]) {
      await client.request(`GET /${status} HTTP/1.1`, "Host: x");
      assertEquals((await client.message()).status, status);
    }
    assertEquals(client.unread, "");
  });

  test("status, odd target and end-to-end fields pass", async () => {
    let seen = "";
    await using program = answering((head) => {
      seen = head;
      return "HTTP/1.1 418 Teapot\r\nX-One: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n" +
        "Connection: X-Hop\r\nX-Hop: no\r\nContent-Length: 0\r\n\r\n";
    });
    await using proxy = new Proxy([program.port], { kind });
    using client = await proxy.connect();
    await client.request(
      "GET //a/../b%20c//?x=[1]&y=%zz HTTP/1.1",
      "Host: example.org:81",
      "X-Two: 2",
      "Proxy-Authorization: x",
      "Keep-Alive: timeout=3",
      "TE: gzip",
    );
    const got = await client.message();
    assertEquals(got.status, 418);
    assertEquals(got.get("x-one"), "1");
    assertEquals(got.fields.filter(([name]) => name.toLowerCase() === "set-cookie").length, 2);
    assertEquals(got.get("x-hop"), undefined);
    assertMatch(seen, /^GET \/\/a\/\.\.\/b%20c\/\/\?x=\[1\]&y=%zz HTTP\/1\.1\r\n/);
    assertMatch(seen, /\r\nx-two: 2\r\n/i);
    assertMatch(seen, /\r\nhost: example\.org:81\r\n/i);
    assert(!/proxy-authorization|keep-alive|\nte:/i.test(seen), seen);
  });

  test("forwarding fields of a stranger are replaced, of a trusted proxy believed", async () => {
    const claims = [
      "X-Forwarded-For: 6.6.6.6",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Host: evil",
      "X-Forwarded-Port: 1",
      "X-Forwarded-Prefix: /p",
      "X-Request-ID: mine",
      "Forwarded: for=6.6.6.6",
    ];
    await using program = echo();
    {
      await using proxy = new Proxy([program.port], { kind });
      using client = await proxy.connect();
      await client.request("GET / HTTP/1.1", "Host: a.example", ...claims);
      const { body } = await client.message();
      assertMatch(body, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/);
      assertMatch(body, /\r\nX-Forwarded-Proto: http\r\n/);
      assertMatch(body, /\r\nX-Forwarded-Host: a\.example\r\n/);
      assertMatch(body, /\r\nX-Forwarded-Port: 8182\r\n/);
      assertMatch(body, /\r\nX-Request-ID: [0-9a-f]{32}\r\n/);
      assert(!/6\.6\.6\.6|evil|mine|prefix/i.test(body), body);
    }
    await using proxy = new Proxy([program.port], { kind, trusted: ["127.0.0.0/8"] });
    using client = await proxy.connect();
    await client.request("GET / HTTP/1.1", "Host: a.example", ...claims);
    const { body } = await client.message();
    assertMatch(body, /\r\nX-Forwarded-For: 6\.6\.6\.6, 127\.0\.0\.1\r\n/);
    assertMatch(body, /\r\nx-forwarded-proto: https\r\n/i);
    assertMatch(body, /\r\nx-forwarded-host: evil\r\n/i);
    assertMatch(body, /\r\nx-request-id: mine\r\n/i);
    assertMatch(body, /\r\nforwarded: for=6\.6\.6\.6\r\n/i);
  });

  test("large bodies both ways, bytes unharmed", async () => {
    const size = 3_000_000;
    const pattern = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
    const text = textOf(pattern);
    let received = "";
    await using sink = new RawServer(async (peer) => {
      await peer.until("\r\n\r\n");
      received = await peer.bytes(size);
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      await peer.send(pattern);
    });
    await using proxy = new Proxy([sink.port], { kind });
    using client = await proxy.connect();
    await client.request("PUT /big HTTP/1.1", "Host: x", `Content-Length: ${size}`);
    await client.send(pattern);
    const got = await client.message();
    assert(received === text, "the upload differs");
    assert(got.body === text, "the download differs");
  });

  test("an answer in chunks arrives as it is sent, not when it ends", async () => {
    const more = Promise.withResolvers<void>();
    await using source = new RawServer(async (peer) => {
      await peer.until("\r\n\r\n");
      await peer.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
      );
      await peer.send("7\r\ndata: 1\r\n");
      await more.promise;
      await peer.send("7\r\ndata: 2\r\n0\r\n\r\n");
    });
    await using proxy = new Proxy([source.port], { kind });
    using client = await proxy.connect();
    await client.request("GET /events HTTP/1.1", "Host: x");
    assertEquals((await client.head()).status, 200);
    await client.until("data: 1");
    more.resolve();
    await client.until("data: 2");
    await client.until("0\r\n\r\n");
  });

  test("nothing live: 503 with Retry-After, as text or JSON", async () => {
    await using proxy = new Proxy([], { kind });
    using client = await proxy.connect();
    await client.request("GET / HTTP/1.1", "Host: x");
    const text = await client.message();
    assertEquals([text.status, text.get("retry-after")], [503, "2"]);
    assertMatch(text.get("content-type")!, /^text\/plain/);
    await client.request("GET / HTTP/1.1", "Host: x", "Accept: application/json");
    const json = await client.message();
    assertEquals(JSON.parse(json.body).status, 503);
  });

  test("an upstream that refuses is 502 and told", async () => {
    const gone = answering("");
    await gone[Symbol.asyncDispose]();
    await using proxy = new Proxy([gone.port], { kind });
    using client = await proxy.connect();
    await client.request("GET / HTTP/1.1", "Host: x");
    assertEquals((await client.message()).status, 502);
    assertEquals(proxy.told("proxy_error").length, 1);
  });

  test("a client that leaves a waiting request ends the upstream's", async () => {
    const left = Promise.withResolvers<string>();
    const arrived = Promise.withResolvers<void>();
    await using slow = new RawServer(async (peer) => {
      await peer.until("\r\n\r\n");
      arrived.resolve();
      left.resolve(await peer.ended());
    });
    await using proxy = new Proxy([slow.port], { kind });
    const client = await proxy.connect();
    await client.request("GET /slow HTTP/1.1", "Host: x");
    await arrived.promise;
    client.close();
    assert(["end", "reset"].includes(await left.promise));
    await proxy.quiet();
  });

  test("a handler that throws costs one answer, not the front", async () => {
    let calls = 0;
    const proxy = new Proxy([], {
      kind,
      handler: () => {
        calls++;
        throw new Error("bug");
      },
    });
    const client = await proxy.connect();
    await client.request("GET / HTTP/1.1", "Host: x");
    assertEquals((await client.message()).status, 500);
    const again = await proxy.connect();
    await again.request("GET / HTTP/1.1", "Host: x");
    assertEquals((await again.message()).status, 500);
    assertEquals([calls, proxy.told("internal_error").length], [2, 2]);
    client.close();
    again.close();
    proxy.events.length = 0;
    await proxy[Symbol.asyncDispose]();
  });

  test("drain: requests in flight finish, the address is free afterwards", async () => {
    const answer = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();

    await using slow = new RawServer(async (peer) => {
      await peer.until("\r\n\r\n");
      arrived.resolve();
      await answer.promise;
      await peer.send(ok("late"));
    });
    await using proxy = new Proxy([slow.port], { kind });
    using client = await proxy.connect();
    await client.request("GET / HTTP/1.1", "Host: x");
    await arrived.promise;
    const drained = proxy.front.drain(10_000);
    answer.resolve();
    assertEquals((await client.message()).body, "late");
    client.close();
    assertEquals(await drained, { cut: 0 });
    Deno.listen({ hostname: "127.0.0.1", port: proxy.front.address.port }).close();
  });
}

/** Data of a chunked body. */
function unchunk(text: string): string {
  let rest = text.slice(text.indexOf("\r\n\r\n") + 4);
  let out = "";
  for (;;) {
    const line = rest.indexOf("\r\n");
    const size = parseInt(rest.slice(0, line), 16);
    if (!(size > 0)) return out;
    out += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 4 + size);
  }
}
