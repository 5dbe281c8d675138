/** What only the raw front can: letter case, order, interim answers, trailers, HTTP/1.0, pipelining. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { ManualClock } from "../../../kit/manual_clock.ts";
import { RawServer } from "../../../kit/raw_http.ts";
import { until } from "../../../kit/wait.ts";
import { answering, echo, ok, Proxy } from "../proxy_kit.ts";

Deno.test("http edge: case, order and duplicates of fields are kept both ways", async () => {
  let seen = "";
  await using program = answering((head) => {
    seen = head;
    return "HTTP/1.1 200 Fine\r\nX-b: 1\r\nSET-cookie: a\r\nx-B:2 \r\nSet-Cookie: b\r\n" +
      "Content-Length: 0\r\n\r\n";
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "hOST: x", "B: 1", "a:2", "B: 3", "ACCEPT: */*");
  const answer = await client.message();
  assertEquals(answer.line, "HTTP/1.1 200 Fine");
  assertEquals(answer.fields, [
    ["X-b", "1"],
    ["SET-cookie", "a"],
    ["x-B", "2"],
    ["Set-Cookie", "b"],
    ["Content-Length", "0"],
  ]);
  assert(
    seen.startsWith("GET / HTTP/1.1\r\nhOST: x\r\nB: 1\r\na:2\r\nB: 3\r\nACCEPT: */*\r\n"),
    seen,
  );
});

Deno.test("http edge: pipelined requests are answered in order", async () => {
  await using program = echo();
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  let all = "";
  for (let i = 0; i < 50; i++) {
    all += i % 3 === 0
      ? `POST /${i} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc`
      : i % 3 === 1
      ? `GET /${i} HTTP/1.1\r\nHost: x\r\n\r\n`
      : `POST /${i} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n01\r\nc\r\n0\r\n\r\n`;
  }
  await client.send(all);
  for (let i = 0; i < 50; i++) {
    const { body } = await client.message();
    assertMatch(body, new RegExp(`^(GET|POST) /${i} HTTP`));
    const end = ["\r\n\r\nabc", "\r\n\r\n", "\r\n\r\n3\r\nabc\r\n0\r\n\r\n"][i % 3];
    assert(body.endsWith(end), body);
  }
  assertEquals(program.accepted, 1);
});

Deno.test("http edge: requests split at every byte are the same requests", async () => {
  await using program = echo();
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  const one = "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
    "5\r\nhello\r\n0\r\n\r\n";
  for (let at = 1; at < one.length; at++) {
    await client.send(one.slice(0, at));
    await client.send(one.slice(at));
    assertMatch((await client.message()).body, /\r\n\r\n(5\r\nhello|(1|2|3|4)\r\n)/);
  }
});

Deno.test("http edge: interim answers 100 and 103 are passed on, not to HTTP/1.0", async () => {
  await using program = answering(
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
      "HTTP/1.1 100 Continue\r\n\r\n" + ok("done"),
  );
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  const hint = await client.message();
  assertEquals([hint.status, hint.get("link")], [103, "</a>"]);
  assertEquals((await client.message()).status, 100);
  assertEquals((await client.message()).body, "done");
  using old = await proxy.connect();
  await old.request("GET / HTTP/1.0");
  assertEquals((await old.message()).status, 200);
});

Deno.test("http edge: Expect is passed on; the program's 100 lets the body come", async () => {
  await using program = new RawServer(async (peer) => {
    const head = await peer.until("\r\n\r\n");
    assertMatch(head, /\r\nExpect: 100-continue\r\n/);
    await peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    await peer.send(ok(await peer.bytes(5)));
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("PUT / HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 5");
  assertEquals((await client.message()).status, 100);
  await client.send("hello");
  assertEquals((await client.message()).body, "hello");
});

Deno.test("http edge: a program that ignores Expect gets the body all the same", async () => {
  const clock = new ManualClock();
  const seen = Promise.withResolvers<void>();
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    seen.resolve();
    await peer.send(ok(await peer.bytes(5)));
  });
  await using proxy = new Proxy([program.port], { clock });
  using client = await proxy.connect();
  await client.request("PUT / HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 5");
  await seen.promise;
  const interim = client.message();
  await clock.advance(1500);
  assertEquals((await interim).status, 100);
  await client.send("hello");
  assertEquals((await client.message()).body, "hello");
});

Deno.test("http edge: a refused Expect ends the connection after the answer", async () => {
  await using program = answering(
    "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n",
  );
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("PUT / HTTP/1.1", "Host: x", "Expect: 100-continue", "Content-Length: 5");
  const answer = await client.message();
  assertEquals([answer.status, answer.get("connection")], [417, "close"]);
  assertEquals(await client.ended(), "end");
});

Deno.test("http edge: 205 is framed like any other answer", async () => {
  const framings = ["Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"];
  await using program = answering((head) =>
    `HTTP/1.1 205 Reset\r\n${framings[Number(head.includes("/chunked"))]}`
  );
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  for (const path of ["/", "/chunked", "/"]) {
    await client.request(`GET ${path} HTTP/1.1`, "Host: x");
    const answer = await client.message();
    assertEquals([answer.status, answer.body], [205, ""]);
  }
});

Deno.test("http edge: trailers pass both ways, forbidden ones do not", async () => {
  let seen = "";
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    seen = await peer.until("0\r\n") + await peer.until("\r\n\r\n");
    await peer.send(
      "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n",
    );
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.send(
    "POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n" +
      "3\r\nabc\r\n0\r\nX-Check: 5\r\nHost: evil\r\n\r\n",
  );
  const answer = await client.message();
  assertEquals(answer.body, "ok");
  assertEquals(answer.trailers, [["X-Sum", "7"]]);
  assertEquals(seen, "3\r\nabc\r\n0\r\nX-Check: 5\r\n\r\n");
});

Deno.test("http edge: HTTP/1.0 clients get no chunks; keep-alive only when asked", async () => {
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  await using program = answering((head) => head.includes("/chunked") ? chunked : ok("hello"));
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("GET /chunked HTTP/1.0", "Connection: keep-alive");
  const answer = await client.message();
  assertEquals([answer.body, answer.get("transfer-encoding")], ["hello", undefined]);
  assertEquals(answer.get("connection"), "close");
  using kept = await proxy.connect();
  for (let i = 0; i < 2; i++) {
    await kept.request("GET / HTTP/1.0", "Connection: keep-alive");
    const got = await kept.message();
    assertEquals([got.body, got.get("connection")], ["hello", "keep-alive"]);
  }
  await kept.request("GET / HTTP/1.0");
  assertEquals((await kept.message()).get("connection"), "close");
  assertEquals(await kept.ended(), "end");
});

Deno.test("http edge: an answer that ends with the connection becomes chunks", async () => {
  for (const version of ["1.0", "1.1"]) {
    await using program = new RawServer(async (peer) => {
      await peer.until("\r\n\r\n");
      await peer.send(`HTTP/${version} 200 OK\r\nX: y\r\n\r\nhello`);
    });
    await using proxy = new Proxy([program.port]);
    using client = await proxy.connect();
    for (let i = 0; i < 2; i++) {
      await client.request("GET / HTTP/1.1", "Host: x");
      const answer = await client.message();
      assertEquals(answer.line, "HTTP/1.1 200 OK");
      assertEquals([answer.get("transfer-encoding"), answer.body], ["chunked", "hello"]);
    }
    assertEquals(program.accepted, 2);
  }
});

Deno.test("http edge: many small chunks arrive whole, extensions do not", async () => {
  const chunks = Array.from({ length: 300 }, (_, i) => `${(i % 40) + 1}`);
  const data = chunks.map((size) => "x".repeat(parseInt(size, 16)));
  const body = data.map((piece, i) => `${chunks[i]};name="v"\r\n${piece}\r\n`).join("");
  await using program = answering(
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n${body}0;last\r\n\r\n`,
  );
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  for (let i = 0; i < 3; i++) {
    await client.request("GET / HTTP/1.1", "Host: x");
    const answer = await client.message();
    assertEquals(answer.body, data.join(""));
  }
  assertEquals(program.accepted, 1);
});

Deno.test("http edge: absolute-form target: its authority is the Host", async () => {
  await using program = echo();
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("GET http://real.example:81/a?b HTTP/1.1", "Host: other");
  const { body } = await client.message();
  assert(body.startsWith("GET /a?b HTTP/1.1\r\nHost: real.example:81\r\n"), body);
  assertMatch(body, /\r\nX-Forwarded-Host: real\.example:81\r\n/);
  assert(!body.includes("other"), body);
  await client.request("GET http://real.example?b HTTP/1.1", "Host: other");
  assertMatch((await client.message()).body, /^GET \/\?b HTTP/);
  await client.request("OPTIONS http://real.example HTTP/1.1", "Host: other");
  assertMatch((await client.message()).body, /^OPTIONS \* HTTP/);
  await client.request("OPTIONS * HTTP/1.1", "Host: x");
  assertMatch((await client.message()).body, /^OPTIONS \* HTTP/);
});

Deno.test("http edge: methods with bodies: DELETE and OPTIONS in chunks, unknown methods", async () => {
  await using program = echo();
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  for (const method of ["DELETE", "OPTIONS", "PURGE", "M-SEARCH"]) {
    await client.send(
      `${method} /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    );
    const { body } = await client.message();
    assert(
      body.startsWith(`${method} /x HTTP/1.1\r\n`) && body.includes("\r\n\r\n2\r\nab\r\n"),
      body,
    );
  }
});

Deno.test("http edge: fields with _ for - cannot stand in for those that we set or frame by", async () => {
  await using program = echo();
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request(
    "GET / HTTP/1.1",
    "Host: x",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded_Proto: https",
    "Content_Length: 5",
    "Transfer_Encoding: chunked",
    "Proxy: http://evil",
    "Connection: X-Forwarded-For, Host, X-Gone",
    "X-Gone: 1",
    "X_Kept: 1",
  );
  const { body } = await client.message();
  assert(!/6\.6\.6\.6|https|Content_|Transfer_|Proxy|X-Gone/.test(body), body);
  assertMatch(body, /\r\nX_Kept: 1\r\n/);
  assertMatch(body, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/);
  assertMatch(body, /\r\nHost: x\r\n/);
});

Deno.test("http edge: an early answer to an upload passes, then the connection closes", async () => {
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send("HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno");
    await peer.ended();
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("POST / HTTP/1.1", "Host: x", "Content-Length: 1000000");
  const answer = await client.message();
  assertEquals([answer.status, answer.body, answer.get("connection")], [413, "no", "close"]);
  assertEquals(await client.ended(), "end");
});

Deno.test("http edge: request and answer flow at the same time", async () => {
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (let i = 0; i < 3; i++) {
      assertEquals(await peer.bytes(6), "1\r\n" + "x\r\n");
      await peer.send("1\r\ny\r\n");
    }
    assertEquals(await peer.until("\r\n\r\n"), "0\r\n\r\n");
    await peer.send("0\r\n\r\n");
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked");
  await client.head();
  for (let i = 0; i < 3; i++) {
    await client.send("1\r\nx\r\n");
    assertEquals(await client.until("y\r\n"), "1\r\ny\r\n");
  }
  await client.send("0\r\n\r\n");
  assertEquals(await client.until("0\r\n\r\n"), "0\r\n\r\n");
});

Deno.test("http edge: a client that only closes its sending side still gets its answer", async () => {
  await using program = answering(() => ok("hello"));
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await client.conn.closeWrite();
  assertEquals((await client.message()).body, "hello");
  assertEquals(await client.ended(), "end");
});

Deno.test("http edge: while the live release drains, answers ask to close", async () => {
  const answer = Promise.withResolvers<void>();
  const seen = Promise.withResolvers<void>();
  await using program = new RawServer(async (peer) => {
    await peer.until("\r\n\r\n");
    seen.resolve();
    await answer.promise;
    await peer.send(ok("late"));
  });
  await using proxy = new Proxy([program.port]);
  using client = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await seen.promise;
  const draining = proxy.gate.swap(undefined);
  answer.resolve();
  const got = await client.message();
  assertEquals([got.body, got.get("connection")], ["late", "close"]);
  await draining.idle;
  assertEquals(await client.ended(), "end");
});

Deno.test("http edge: requests wait at a holding gate and go on when it opens", async () => {
  await using program = answering(() => ok("back"));
  await using proxy = new Proxy([program.port]);
  proxy.gate.hold(60_000);
  using client = await proxy.connect();
  using leaver = await proxy.connect();
  await client.request("GET / HTTP/1.1", "Host: x");
  await leaver.request("GET / HTTP/1.1", "Host: x");
  await until("both wait", () => proxy.gate.waiting === 2);
  leaver.close();
  await until("the leaver is forgotten", () => proxy.gate.waiting === 1);
  proxy.gate.open();
  assertEquals((await client.message()).body, "back");
});

Deno.test("http edge: a small body that nobody reads does not cost the connection", async () => {
  await using proxy = new Proxy([]);
  using client = await proxy.connect();
  const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
  await client.send(post + post);
  for (let i = 0; i < 2; i++) {
    const answer = await client.message();
    assertEquals([answer.status, answer.get("connection")], [503, undefined]);
  }
});

Deno.test("http edge: a large body that nobody reads closes the connection after the answer", async () => {
  await using proxy = new Proxy([]);
  using client = await proxy.connect();
  await client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\nhello");
  const answer = await client.message();
  assertEquals([answer.status, answer.get("connection")], [503, "close"]);
  await client.send("x".repeat(499_995));
  assertEquals(await client.ended(), "end");
});
