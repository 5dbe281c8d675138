/**
 * The proxies that are measured side by side, each as one process on one port with the same
 * upstream, keep-alive where it can, and the same forwarded fields.
 *
 * Invariant: a peer that is not installed is skipped by saying so, never by a worse stand-in; every
 * process started here is ended by `stop`.
 */

const HERE = new URL(".", import.meta.url).pathname;
const ROOT = new URL("../../../", import.meta.url).pathname;

/** A running peer. */
export interface Running {
  /** The process whose CPU time counts. */
  pid: number;
  stop(): Promise<void>;
}

/** Something to measure. */
export interface Peer {
  name: string;
  /** @returns a text when it cannot run here: why */
  start(port: number, upstream: number, scratch: string): Promise<Running | string>;
}

async function spawn(argv: string[], port: number, cwd?: string): Promise<Running | string> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(argv[0], {
      args: argv.slice(1),
      cwd,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (error) {
    return `${argv[0]} is not installed (${(error as Error).message})`;
  }
  let ended = false;
  const status = child.status.then(() => ended = true);
  const stop = async () => {
    if (!ended) child.kill("SIGKILL");
    await status;
  };
  for (let i = 0; i < 200 && !ended; i++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return { pid: child.pid, stop };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  await stop();
  return `${argv[0]} did not start to listen on port ${port}`;
}

function nginx(config: string): (port: number, scratch: string) => Promise<Running | string> {
  return async (port, scratch) => {
    const file = `${scratch}/nginx-${port}.conf`;
    await Deno.writeTextFile(
      file,
      `daemon off; master_process off; worker_processes 1; pid ${scratch}/nginx-${port}.pid;
error_log ${scratch}/nginx-${port}.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; sendfile on;
  client_body_temp_path ${scratch}; proxy_temp_path ${scratch};
  fastcgi_temp_path ${scratch}; uwsgi_temp_path ${scratch}; scgi_temp_path ${scratch};
  ${config}
}
`,
    );
    return await spawn(["nginx", "-c", file, "-p", scratch], port);
  };
}

/** The upstream of all: nginx, which is not the bottleneck. Serves `/` (100 bytes) and files. */
export function startUpstream(port: number, scratch: string): Promise<Running | string> {
  return nginx(`server {
    listen 127.0.0.1:${port} backlog=4096;
    location = / { return 200 "${"0123456789".repeat(10)}"; }
    location / { root ${scratch}/files; }
  }`)(port, scratch);
}

const nginxPeer: Peer = {
  name: "nginx",
  start: (port, upstream, scratch) =>
    nginx(
      `upstream app { server 127.0.0.1:${upstream}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Request-ID $request_id;
    }
  }`,
    )(port, scratch),
};

const haproxyPeer: Peer = {
  name: "haproxy",
  async start(port, upstream, scratch) {
    const file = `${scratch}/haproxy.cfg`;
    await Deno.writeTextFile(
      file,
      `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:${port} backlog 4096
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port ${port}
  unique-id-format %{+X}o%ci%cp%fi%fp%Ts%rt%pid
  unique-id-header X-Request-ID
  default_backend app
backend app
  server app 127.0.0.1:${upstream} pool-max-conn 512
`,
    );
    return await spawn(["haproxy", "-db", "-f", file], port);
  },
};

const httpProxyPeer: Peer = {
  name: "http-proxy",
  async start(port, upstream) {
    const directory = `${ROOT}.cache/bench`;
    await Deno.mkdir(directory, { recursive: true });
    try {
      await Deno.stat(`${directory}/node_modules/http-proxy`);
    } catch {
      const install = [
        "install",
        "--no-audit",
        "--no-fund",
        "--prefix",
        directory,
        "http-proxy@1.18.1",
      ];
      try {
        const { success } = await new Deno.Command("npm", { args: install, stdout: "null" })
          .output();
        if (!success) return "npm could not install http-proxy";
      } catch {
        return "npm is not installed";
      }
    }
    return await spawn(
      ["node", `${HERE}http_proxy.cjs`, `${port}`, `${upstream}`, directory],
      port,
    );
  },
};

function ours(kind: "raw" | "serve"): Peer {
  return {
    name: kind === "raw" ? "supervisor" : "Deno.serve front",
    start: (port, upstream) =>
      spawn(
        [Deno.execPath(), "run", "-A", `${HERE}ours.ts`, `${port}`, `${upstream}`, kind],
        port,
        ROOT,
      ),
  };
}

/** All peers, ours first. */
export const peers: Peer[] = [
  ours("raw"),
  nginxPeer,
  haproxyPeer,
  httpProxyPeer,
  ours("serve"),
];
