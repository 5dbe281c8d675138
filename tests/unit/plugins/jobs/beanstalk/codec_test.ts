/** Bodies of jobs: there and back, those of strangers, and garbage. */

import { assertEquals } from "@std/assert";
import { decode, encode, secondsOf, urgency } from "../../../../../plugins/jobs/beanstalk/codec.ts";
import { jobOf } from "../conformance/kit.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const joined = (pieces: Uint8Array[]) => Uint8Array.from(pieces.flatMap((piece) => [...piece]));

Deno.test("a job comes out as it was put in, whatever is in it", () => {
  const job = jobOf({
    id: "line\nbreak",
    name: "Ünï",
    payload: Uint8Array.of(10, 0, 255, 13, 10),
    headers: { "ключ": ["a\n", ""], empty: [] },
    unique: "k",
  });
  const fate = { attempt: 3, error: "it\nfailed", died_at: 5 };
  const { ttr, key, isStranger, garbage, ...out } = decode(joined(encode(job, fate, 30)), "1", 9);
  assertEquals<unknown>(out, { ...job, ...fate });
  assertEquals([ttr, isStranger, garbage], [30, false, undefined]);
  assertEquals(key === decode(joined(encode(job, fate, 30)), "1", 9).key, false);
});

Deno.test("anything else is a stranger's, and all of it the payload", () => {
  for (const text of ["", "x", "supervisor/", "supervisor/2 {}\n", "\x00\xff"]) {
    const { id, name, priority, payload, isStranger, garbage } = decode(bytes(text), "12", 9);
    assertEquals([id, name, priority, isStranger, garbage], [
      "12",
      "deduced_by_rr",
      9,
      true,
      undefined,
    ]);
    assertEquals(payload, bytes(text));
  }
});

Deno.test("what says that it is ours and is not, is garbage, and all of it the payload", () => {
  const line = JSON.parse(
    new TextDecoder().decode(encode(jobOf(), { attempt: 1 }, 1)[1]),
  );
  const texts = ["", "{", "{}\n", "null\n", "[]\n"];
  for (const field of ["id", "headers", "attempt", "key", "ttr", "auto_ack", "priority"]) {
    texts.push(`${JSON.stringify({ ...line, [field]: undefined })}\n`);
    texts.push(`${JSON.stringify({ ...line, [field]: [1] })}\n`);
  }
  for (const text of texts) {
    const body = bytes(`supervisor/1 ${text}`);
    const { garbage, payload } = decode(body, "1", 1);
    assertEquals(garbage?.startsWith("its line supervisor/1 cannot be read"), true, text);
    assertEquals(payload, body);
  }
});

Deno.test("numbers stay within what beanstalkd counts", () => {
  assertEquals([1, 2 ** 40, -1].map(urgency), [1, 2 ** 32 - 1, 0]);
  assertEquals([0, 1, 1000, 1001, Infinity].map(secondsOf), [0, 1, 1, 2, 2 ** 32 - 1]);
});
