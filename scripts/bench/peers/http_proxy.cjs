// Node's http-proxy as a peer of the forwarding benchmark, with what a supervisor built on it uses:
// forwarded fields, no keep-alive agent. `http_proxy.cjs LISTEN_PORT UPSTREAM_PORT MODULE_DIRECTORY`
"use strict";
const { createRequire } = require("node:module");
const http = require("node:http");
const process = require("node:process");

const [listen, upstream, modules] = process.argv.slice(2);
const httpProxy = createRequire(`${modules}/`)("http-proxy");
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${upstream}`,
  xfwd: true,
  ws: true,
});
proxy.on("error", (_error, _request, response) => {
  response.writeHead?.(502);
  response.end();
});
http.createServer((request, response) => proxy.web(request, response))
  .listen(Number(listen), "127.0.0.1");
