/** Failures: what a user sees of one, and that it survives the way over the control socket. */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  Exit,
  type ExitCode,
  Failure,
  failureFromJson,
  type FailureJson,
  failureJson,
  messageOf,
} from "../../../lib/core/failure.ts";
import { forSeeds } from "../../kit/random.ts";

Deno.test("failure: the exit codes are the product's contract", () => {
  assertEquals(Exit, {
    done: 0,
    failed: 1,
    usage: 2,
    config: 3,
    noDaemon: 4,
    running: 5,
    partly: 6,
  });
});

Deno.test("failure: sentence and fix in one text; exit 1 unless said otherwise", () => {
  const plain = new Failure('cannot open "x": it is a directory');
  assertEquals([plain.text, plain.exit], ['cannot open "x": it is a directory', Exit.failed]);
  const full = new Failure("no daemon answers", { fix: "Start one.", exit: Exit.noDaemon });
  assertEquals([full.text, full.exit], ["no daemon answers\nStart one.", Exit.noDaemon]);
  assertInstanceOf(full, Error);
  assertEquals(full.name, "Failure");
});

Deno.test("failure: JSON has what was given, nothing else, and never the cause or a stack", () => {
  assertEquals(failureJson(new Failure("no")), { status: "error", error: "no", exit: Exit.failed });
  const cause = new Error("EOF");
  const failure = new Failure("no", {
    fix: "Do.",
    exit: Exit.config,
    detail: { argv: ["a"] },
    cause,
  });
  assertEquals(failure.cause, cause);
  assertEquals(Object.entries(failureJson(failure)), [
    ["status", "error"],
    ["error", "no"],
    ["fix", "Do."],
    ["exit", Exit.config],
    ["detail", { argv: ["a"] }],
  ]);
});

Deno.test("failure: any failure comes out of JSON as it went in", async () => {
  await forSeeds(300, (random) => {
    const failure = new Failure(random.text(random.int(0, 20), 'ab "\\\n\u2013\u{1f600}'), {
      exit: random.pick(Object.values(Exit)) as ExitCode,
      fix: random.chance(0.5) ? random.text(5) : undefined,
      detail: random.chance(0.5)
        ? { argv: [random.text(3)], code: random.int(0, 255), cwd: null }
        : undefined,
    });
    const json: FailureJson = JSON.parse(JSON.stringify(failureJson(failure)));
    const back = failureFromJson(json);
    assertEquals(
      [back.message, back.exit, back.fix, back.detail, back.text],
      [failure.message, failure.exit, failure.fix, failure.detail, failure.text],
    );
    assertEquals(failureJson(back), json);
  });
});

Deno.test("failure: anything else that is thrown is an internal error with a message and no stack", () => {
  const thrown: [value: unknown, message: string][] = [
    [new TypeError("x is not a function"), "x is not a function"],
    [new TypeError(), "TypeError"],
    [new DOMException("stopped", "AbortError"), "stopped"],
    ["text", "text"],
    ["", "no message"],
    [undefined, "undefined"],
    [null, "null"],
    [0, "0"],
    [Symbol("s"), "Symbol(s)"],
    [Object.create(null), "no message"],
    [{ toString: () => ({}) }, "no message"],
  ];
  for (const [value, message] of thrown) {
    assertEquals(messageOf(value), message);
    assertEquals(failureJson(value), {
      status: "error",
      error: `internal error: ${message}`,
      exit: Exit.failed,
    });
    assert(!JSON.stringify(failureJson(value)).includes(".ts:"));
  }
});
