/** Routes of an HTTP worker on the kit; see serve_test.ts. */

import { open } from "node:fs/promises";
import process from "node:process";
import { type HttpContext, ReplaceWorker, serve } from "../../../../worker/mod.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

const routes: Record<string, (request: Request, context: HttpContext) => unknown> = {
  "/": () => new Response(bytes("OK"), { headers: { "x-a": "1" } }),
  "/hello": () => new Response("OK", { headers: { "x-a": "1" } }),
  "/echo": async (request, context) => {
    const { method, url } = request;
    const body = await request.text();
    return Response.json({
      method,
      url,
      body,
      headers: [...request.headers],
      context: { ...context, body: context.body.length },
    });
  },
  "/form": async (request) => {
    const form = await request.formData();
    const entries = [...form].map(async ([name, value]) =>
      typeof value === "string" ? [name, value] : [name, value.name, value.type, await value.text()]
    );
    return Response.json(await Promise.all(entries));
  },
  "/headers": () =>
    new Response(null, {
      status: 204,
      headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-name", "M\xc3\xbcller"]],
    }),
  "/noise": () => {
    console.log("from console.log");
    process.stdout.write("from process.stdout\n");
    const { Deno } = globalThis as {
      Deno?: {
        stdout: { writeSync(b: Uint8Array): number; write(b: Uint8Array): Promise<number> };
      };
    };
    Deno?.stdout.writeSync(bytes("from Deno.stdout\n"));
    return new Response("quiet");
  },
  "/chunks": (request) => {
    const count = Number(new URL(request.url).searchParams.get("n"));
    return new Response(streamOf(count));
  },
  "/forever": () => new Response(streamOf(Infinity)),
  "/gated": async () => {
    const gate = await open(process.env.GATE!, "r");
    return new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(bytes("first")),
        async pull(controller) {
          await gate.read(new Uint8Array(3), 0, 3);
          await gate.close();
          controller.enqueue(bytes("second"));
          controller.close();
        },
      }),
    );
  },
  "/breaks": () =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(bytes("first")),
        async pull() {
          await turn();
          throw new Error("the source broke");
        },
      }),
    ),
  "/hints": async (_, context) => {
    await context.earlyHints({ link: "</a.css>; rel=preload" });
    setTimeout(() => {
      context.earlyHints({}).catch((error: Error) => console.error(`late hint: ${error.message}`));
    }, 0);
    return new Response("hinted");
  },
  "/huge-error": () => {
    throw new Error("x".repeat(1_000_000));
  },
  "/throws": () => {
    throw new Error("handler broke");
  },
  "/nothing": () => undefined,
  "/text-stream": () =>
    new Response(new ReadableStream({ start: (c) => c.enqueue("text" as never) })),
  "/replace": () => {
    throw new ReplaceWorker();
  },
};

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** So many chunks, none of them there before it is asked for. */
function streamOf(count: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      await turn();
      if (at === count) controller.close();
      else controller.enqueue(bytes(`chunk ${++at};`));
    },
    cancel: (reason: Error) => console.error(`cancelled after ${at}: ${reason.message}`),
  }, { highWaterMark: 0 });
}

console.log("booted");
serve((request, context) => routes[new URL(request.url).pathname](request, context) as Response, {
  onError: process.env.ON_ERROR === undefined
    ? undefined
    : (error) => new Response(`sorry: ${(error as Error).message}`, { status: 500 }),
  close: () => void process.stderr.write("closed\n"),
});
