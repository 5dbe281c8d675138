/** The routes of pipelines over a real socket: what they hand on and what they refuse. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { MAX_PUSHED } from "../../../lib/control/jobs.ts";
import { MAIL, Server } from "./kit.ts";

function post(body: unknown): RequestInit {
  return { method: "POST", body: JSON.stringify(body) };
}

Deno.test("routes of pipelines hand their fields on", async () => {
  await using server = await Server.open();
  assertEquals(JSON.parse((await server.fetch("/v1/jobs")).text), {
    pipelines: [MAIL],
    schedules: [],
  });
  const push = {
    pipeline: "mail",
    job: "App\\Mail",
    payload: "",
    headers: { trace: ["1", "2"], empty: [] },
    delay_ms: 0,
    priority: 3,
    id: "a b",
    unique: "k",
    auto_ack: true,
  };
  await server.fetch("/v1/jobs/push", post(push));
  await server.fetch("/v1/jobs/pause", post({ pipeline: "mail" }));
  await server.fetch("/v1/jobs/resume", post({ pipeline: "mail" }));
  await server.fetch("/v1/jobs/dead?pipeline=mail&lines=5&after=a%20b");
  await server.fetch("/v1/jobs/dead/letter?pipeline=mail&id=a%20b&bytes=10");
  await server.fetch("/v1/jobs/retry", post({ id: "a b" }));
  await server.fetch("/v1/jobs/drop", post({ pipeline: "mail", all: true }));
  assertEquals(server.operations.asked, [
    ["jobs", {}],
    ["push", push],
    ["pause", "mail"],
    ["resume", "mail"],
    ["dead", { pipeline: "mail", lines: 5, after: "a b" }],
    ["letter", { pipeline: "mail", id: "a b", bytes: 10 }],
    ["retry", { id: "a b" }],
    ["drop", { pipeline: "mail", all: true }],
  ]);
});

for (
  const [field, value, said] of [
    ["payload", 1, "a text, not 1"],
    ["payload_base64", "a", 'base64, not "a"'],
    ["headers", { a: "b" }, "an object of lists of texts"],
    ["headers", ["a"], "an object of lists of texts"],
    ["headers", { a: [1] }, "an object of lists of texts"],
    ["delay_ms", -1, "a whole number from 0"],
    ["priority", 1.5, "a whole number from 0"],
    ["id", "", "a text that is not empty"],
    ["job", "", "a text that is not empty"],
  ] as const
) {
  Deno.test(`a push with ${field} ${JSON.stringify(value)} is refused`, async () => {
    await using server = await Server.open();
    const body = { pipeline: "mail", job: "x", [field]: value };
    const { status, text } = await server.fetch("/v1/jobs/push", post(body));
    assertEquals(status, 400);
    assertStringIncludes(JSON.parse(text).error, `"${field}" must be ${said}`);
    assertEquals(server.operations.asked, []);
  });
}

Deno.test("a push may be as large as it is said, other bodies may not", async () => {
  await using server = await Server.open();
  const payload_base64 = new Uint8Array(MAX_PUSHED).fill(255).toBase64();
  const push = { pipeline: "mail", job: "x", payload_base64 };
  assertEquals((await server.fetch("/v1/jobs/push", post(push))).status, 200);
  assertEquals((await server.fetch("/v1/jobs/pause", post(push))).status, 413);
  const more = await server.fetch("/v1/jobs/push", post({ ...push, job: "x".repeat(2 ** 21) }));
  assertEquals(more.status, 413);
});
