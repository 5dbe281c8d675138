/** What beanstalkd may say and seldom does: said by one that is made up. */

import { assertEquals, assertRejects } from "@std/assert";
import { realClock } from "../../../../../lib/os/clock.ts";
import { type Put, Refused, Session } from "../../../../../plugins/jobs/beanstalk/session.ts";
import { Lost } from "../../../../../plugins/jobs/beanstalk/wire.ts";
import { soon } from "../../../../kit/wait.ts";

const GREETING = (version: string) => {
  const text = `---\nversion: "${version}"\nmax-job-size: 100\nbinlog-current-index: 1\n`;
  return `OK ${text.length}\r\n${text}`;
};

/** Answers `put` and `delete` with these words, one after the other, and keeps what it was asked. */
class Fake implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #served: Promise<void>;

  constructor(greeting: string, answers: string[] = []) {
    this.#served = this.#serve(greeting, answers);
  }

  dial(): Promise<Session> {
    const addr = { host: "127.0.0.1", port: (this.#listener.addr as Deno.NetAddr).port };
    return Session.dial({
      broker: { addr, timeout: 30_000 },
      config: { tube: "t", reserve_timeout: 1000 },
      clock: realClock,
    });
  }

  async #serve(greeting: string, answers: string[]): Promise<void> {
    using conn = await this.#listener.accept();
    let rest = "";
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const count = await conn.read(buffer).catch(() => null); // it hung up
      if (count === null) return;
      rest += new TextDecoder().decode(buffer.subarray(0, count));
      const lines = rest.split("\r\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const [word] = line.split(" ");
        const isAsked = word === "put" || word === "delete";
        if (isAsked) this.asked.push(line);
        const usual: Record<string, string> = {
          stats: greeting,
          watch: "WATCHING 2",
          ignore: "WATCHING 1",
          use: "USING t",
        };
        const answer = isAsked ? answers.shift() : usual[word];
        if (answer !== undefined) await conn.write(new TextEncoder().encode(`${answer}\r\n`));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#served.catch(() => {}); // nobody came
  }
}

const put = (text: string): Put => ({
  tube: "default",
  urgency: 1,
  delay: 0,
  ttr: 9,
  body: [new TextEncoder().encode(text)],
});

Deno.test("jobs are stored all or none: what was stored before a refusal is removed", async () => {
  const answers = ["INSERTED 4", "BURIED 5", "OUT_OF_MEMORY", "DELETED", "DELETED"];
  await using fake = new Fake(GREETING("1.13"), answers);
  const session = await fake.dial();
  const putting = () => session.put([put("a"), put("b"), put("c")]);
  await assertRejects(putting, Refused, "has no memory");
  assertEquals(fake.asked, [
    ...["put 1 0 9 1", "put 1 0 9 1", "put 1 0 9 1"],
    ...["delete 4", "delete 5"],
  ]);
  await session.close();
});

Deno.test("a server that drains, fails, or has no memory is quoted", async () => {
  for (const [word, text] of [["DRAINING", "drain"], ["INTERNAL_ERROR", "INTERNAL_ERROR"]]) {
    await using fake = new Fake(GREETING("1.12+git"), [word]);
    const session = await fake.dial();
    await assertRejects(() => session.put([put("a")]), Refused, text);
    await session.close();
  }
});

Deno.test("what is no beanstalkd, or too old, is said", async () => {
  for (
    const [greeting, text] of [
      [GREETING("1.11"), "is of version 1.11, and 1.12 is the oldest"],
      ["HTTP/1.1 400 Bad Request", "beanstalkd says HTTP/1.1"],
      ["OK 3\r\nabcdef", "wrong length"],
      ["x".repeat(5000), "has no end"],
    ]
  ) {
    await using fake = new Fake(greeting);
    await assertRejects(() => fake.dial(), Error, text);
  }
});

Deno.test("an answer that nobody asked for ends the connection, and what waits with it", async () => {
  await using fake = new Fake(GREETING("1.12"), ["INSERTED 1\r\nINSERTED 2"]);
  const session = await fake.dial();
  await session.put([{ ...put("a"), tube: "t" }]);
  await soon("the loss", session.lost);
  await assertRejects(() => session.put([put("b")]), Lost, "without being asked");
  await session.close();
});
