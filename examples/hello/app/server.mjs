/**
 * The example's web server: nothing but Node.
 *
 *   /        greeting and version      /events   Server-Sent Events, one a second
 *   /ping    health                    /slow     answers after 3 s: deploy while it waits
 *
 * In real life a release is a whole checkout; here both share this file, and each release's own
 * server.mjs gives the version.
 */

import http from "node:http";
import process from "node:process";

/** Starts to serve on the port given as `--port N`. */
export function serve(version) {
  const port = Number(process.argv[process.argv.indexOf("--port") + 1]);
  const greeting = process.env.GREETING ?? "Hello";
  const streams = new Set();

  const routes = {
    "/": (response) => response.end(`${greeting}, version ${version}\n`),
    "/ping": (response) => response.end("pong\n"),
    "/slow": (response) => setTimeout(() => response.end(`${version}, at last\n`), 3000),
    "/events": (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      let id = 0;
      const tick = () => response.write(`id: ${++id}\ndata: ${version}\n\n`);
      const timer = setInterval(tick, 1000);
      const close = () => {
        clearInterval(timer);
        streams.delete(response);
      };
      tick();
      streams.add(response);
      response.on("close", close);
    },
  };

  const server = http.createServer((request, response) => {
    response.setHeader("x-version", version);
    const route = routes[new URL(request.url, "http://localhost").pathname];
    if (route !== undefined) return route(response);
    response.writeHead(404).end("no such page\n");
  });

  server.listen(port, "127.0.0.1", () => console.log(`${version} listens on port ${port}`));

  // By now the proxy sends nothing new here. What is under way ends, then the program does.
  process.on("SIGTERM", () => {
    console.log(`${version} stops`);
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    for (const stream of streams) stream.end();
  });
}
