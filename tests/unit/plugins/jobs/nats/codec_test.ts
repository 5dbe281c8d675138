/** Jobs as messages of NATS. */

import { assert, assertEquals } from "@std/assert";
import {
  decode,
  dueOf,
  encode,
  MARGIN,
  marked,
  withId,
} from "../../../../../plugins/jobs/nats/codec.ts";
import { jobOf } from "../conformance/kit.ts";

Deno.test("nats: whatever a job has comes back, with how far it has come", () => {
  const job = jobOf({
    id: 'ü\n"',
    name: "",
    payload: Uint8Array.from({ length: 256 }, (_, byte) => byte),
    headers: { "": [""], a: [], "Nats-Msg-Id": ["mine"], b: [" x ", "y\r\nz"], "ключ": ["й"] },
    priority: Number.MAX_SAFE_INTEGER,
    auto_ack: true,
    unique: "k",
  });
  const progress = { attempt: 7, error: "it\nfailed", died_at: 1_700_000_000_000 };
  const { data, headers } = encode(job, "mail", progress, { "supervisor-due": "12" });
  assertEquals(dueOf(headers), 12);
  const { delay: _, ...kept } = job;
  assertEquals(decode(data, "s", headers), { ...kept, delay: 0, attempts: 7, ...progress });
});

Deno.test("nats: marks come and go, and what a header cannot say is only in the JSON", () => {
  const job = jobOf({ headers: { a: ["1", "", " 2", "3\n"], "b c": ["1"], "Nats-Msg-Id": ["x"] } });
  const { headers } = encode(job, "mail", {}, { "supervisor-due": "12" });
  assertEquals(headers?.toString(), "NATS/1.0\r\nsupervisor-due: 12\r\na: 1\r\n\r\n");
  const moved = marked(headers, { "Nats-Msg-Id": "id" });
  assertEquals(moved.toString(), "NATS/1.0\r\na: 1\r\nNats-Msg-Id: id\r\n\r\n");
  assertEquals(withId(headers, "k").toString().includes("supervisor-due: 12"), true);
});

Deno.test("nats: a long error does not make a message larger than what a push leaves room for", () => {
  const job = jobOf();
  const bare = encode(job, "mail").size;
  for (const one of ["x", "\0", "ы", '"', "\u{1f600}"]) {
    const { size } = encode(job, "mail", { attempt: 1e9, error: one.repeat(1e5), died_at: 1e13 });
    assert(size - bare < MARGIN, `${one}: ${size - bare}`);
  }
});
