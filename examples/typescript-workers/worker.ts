/**
 * The application: started once, it answers one request after the other.
 *
 *   /       greets                 /events   Server-Sent Events, one a second
 *   /ping   warms up               /form     shows a posted form and its files
 */

import { serve } from "../../worker/mod.ts";

let greeted = 0;

const routes: Record<string, (request: Request) => Response | Promise<Response>> = {
  "/": (request) => {
    const name = new URL(request.url).searchParams.get("name") ?? "world";
    console.log(`greets ${name}`); // to the log: standard output is the wire
    return new Response(`Hello, ${name}! Greeting ${++greeted}.\n`);
  },
  "/ping": () => new Response("pong\n"),
  "/form": async (request) => {
    const entries = [...await request.formData()].map(([name, value]) => [
      name,
      typeof value === "string" ? value : { file: value.name, bytes: value.size },
    ]);
    return Response.json(Object.fromEntries(entries));
  },
  "/events": () => {
    let id = 0;
    let timer: ReturnType<typeof setInterval>;
    const events = new ReadableStream({
      start(controller) {
        const tick = () =>
          controller.enqueue(new TextEncoder().encode(`id: ${++id}\ndata: tick\n\n`));
        timer = setInterval(tick, 1000);
        tick();
      },
      // The client has left.
      cancel: () => clearInterval(timer),
    });
    return new Response(events, { headers: { "content-type": "text/event-stream" } });
  },
};

serve((request) => {
  const route = routes[new URL(request.url).pathname];
  return route?.(request) ?? new Response("There is no such page.\n", { status: 404 });
});
