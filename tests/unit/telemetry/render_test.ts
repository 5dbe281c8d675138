import { assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { renderJson, renderReadable } from "../../../lib/telemetry/render.ts";

const RECORD = {
  at: "2030-01-02T03:04:05.678Z",
  level: "warn",
  event: "process_exited",
  data: { process: "web#0", code: 1, signal: null, error: "two words\nand a line", pids: [1, 2] },
} as const;
const data = { ...RECORD.data, pids: [...RECORD.data.pids] };

Deno.test("JSON: one line, four keys in order", () => {
  assertEquals(
    renderJson({ ...RECORD, data }),
    '{"at":"2030-01-02T03:04:05.678Z","level":"warn","event":"process_exited",' +
      '"data":{"process":"web#0","code":1,"signal":null,"error":"two words\\nand a line","pids":[1,2]}}\n',
  );
});

Deno.test("readable: local time, level, event, facts", () => {
  const text = renderReadable(false)({ ...RECORD, data });
  const hour = String(new Date(RECORD.at).getHours()).padStart(2, "0");
  assertEquals(text.slice(0, 12), `${hour}:04:05.678`.slice(0, 12));
  assertEquals(
    text.slice(13),
    'warn  process_exited           process=web#0 code=1 signal=null error="two words\\nand a line" pids=[1,2]\n',
  );
});

Deno.test("colours only when asked for", () => {
  // deno-lint-ignore no-control-regex
  const escape = /\x1b\[/;
  assertMatch(renderReadable(true)({ ...RECORD, data }), escape);
  assertNotMatch(renderReadable(false)({ ...RECORD, data }), escape);
});

Deno.test("facts cannot act on a terminal or forge a line", () => {
  const nasty = "a\x1b[2J\r\nb\u009b31m\u202e\u2028\x7f\x00";
  const text = renderReadable(false)({ ...RECORD, data: { nasty } });
  // deno-lint-ignore no-control-regex
  assertNotMatch(text.slice(0, -1), /[\x00-\x1f\x7f-\x9f\u2028-\u202e]/);
  assertEquals(JSON.parse(text.slice(text.indexOf("nasty=") + 6)), nasty);
});
