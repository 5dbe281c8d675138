/** Forms as real clients send them, through a real front. */

import { assertEquals } from "@std/assert";
import { answer, type Exchange } from "../../../../../lib/http/mod.ts";
import { type Form, readTree } from "../../../../../plugins/http/body/mod.ts";
import { Scratch } from "../../../../kit/scratch.ts";
import { soon } from "../../../../kit/wait.ts";
import { Proxy } from "../../../http/proxy_kit.ts";
import { hostWith, namesIn, rulesOf, textOf } from "./kit.ts";

/** A front that reads one form. */
class FormFront extends Proxy {
  readonly form: Promise<Form>;

  constructor(dir: string) {
    const form = Promise.withResolvers<Form>();
    super([], {
      handler: async (exchange: Exchange) => {
        const type = exchange.head.get("content-type") ?? "";
        try {
          form.resolve(await readTree(exchange.body, type, rulesOf(dir), hostWith()));
          await answer(exchange, 200, "read");
        } catch (error) {
          form.reject(error);
          await answer(exchange, 400, "not read");
        }
      },
    });
    this.form = form.promise;
    this.form.catch(() => {});
  }

  get url(): string {
    return `http://127.0.0.1:${this.front.address.port}/`;
  }
}

Deno.test("curl's form with files of awkward names", async () => {
  using scratch = new Scratch();
  const dir = scratch.path("uploads");
  Deno.mkdirSync(dir);
  const binary = crypto.getRandomValues(new Uint8Array(60_000));
  Deno.writeFileSync(scratch.path("f.bin"), binary);
  scratch.write(`we ird"na;me.txt`, "text");
  await using front = new FormFront(dir);
  const args = ["-F", "name=Ünï", "-F", "a[b][]=1", "-F", "a[b][]=<-", "-F", "f=@f.bin"];
  args.push("-F", `g[]=@"we ird\\"na;me.txt";type=text/x-odd`);
  args.push("-F", "h=@f.bin;filename=../../etc/passwd");
  const curl = new Deno.Command("curl", {
    args: ["-sS", "--max-time", "20", ...args, front.url],
    cwd: scratch.dir,
    stdin: "null",
  });
  const { stderr } = await curl.output();
  assertEquals(new TextDecoder().decode(stderr), "");
  const form = await front.form;
  assertEquals(textOf(form), `{"name":"Ünï","a":{"b":["1",""]}}`);
  const { f, g, h } = JSON.parse(form.uploads!);
  assertEquals([f.name, f.size, f.error], ["f.bin", 60_000, 0]);
  assertEquals([g[0].name, g[0].mime, g[0].size], ["we ird%22na;me.txt", "text/x-odd", 4]);
  assertEquals([h.name, h.size], ["passwd", 60_000]);
  assertEquals(Deno.readFileSync(f.tmpName), binary);
  await form.remove();
  assertEquals(namesIn(dir), []);
});

Deno.test("fetch's form, in chunks of unknown length", async () => {
  using scratch = new Scratch();
  await using front = new FormFront(scratch.dir);
  const sent = new FormData();
  sent.append("10", "a");
  sent.append("9", "line\r\nbreak");
  sent.append("file", new File(["x".repeat(500_000)], "x.txt", { type: "text/plain" }));
  const encoded = new Response(sent);
  const headers = { "content-type": encoded.headers.get("content-type")! };
  const response = await fetch(front.url, { method: "PUT", headers, body: encoded.body });
  await response.text();
  const form = await front.form;
  assertEquals(textOf(form), `{"10":"a","9":"line\\r\\nbreak"}`);
  assertEquals(JSON.parse(form.uploads!).file.size, 500_000);
  await form.remove();
});

Deno.test("a client that leaves in mid-upload leaves no file", async () => {
  using scratch = new Scratch();
  await using front = new FormFront(scratch.dir);
  const client = await front.connect();
  await client.request(
    "POST / HTTP/1.1",
    "Host: x",
    "Content-Type: multipart/form-data; boundary=XX",
    "Content-Length: 1000000",
  );
  await client.send(
    `--XX\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n` + "x".repeat(100_000),
  );
  const watcher = Deno.watchFs(scratch.dir);
  if (namesIn(scratch.dir).length === 0) { for await (const _ of watcher) break; }
  else watcher.close();
  client.close();
  assertEquals(
    await soon("the end of the form", front.form.catch((error) => error.name)),
    "BodyBroken",
  );
  assertEquals(namesIn(scratch.dir), []);
});
