/** From text to Config: defaults, units, types, expansion, includes, overrides, sections. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { basename, join } from "@std/path";
import { z } from "zod";
import { Failure } from "../../../lib/core/failure.ts";
import { findConfig, problemsJson, readOrFail } from "../../../lib/config/mod.ts";
import * as defaults from "../../../lib/config/defaults.ts";
import type { SectionSchema } from "../../../lib/config/sections.ts";
import { Scratch } from "../../kit/scratch.ts";
import { configOf, messages, readFiles } from "./kit.ts";

Deno.test("a minimal file gets every default", async () => {
  const config = await configOf("processes: { worker: { command: node worker.js } }");
  assertEquals(config.application, basename(config.dir));
  assertEquals(config.proxy, undefined);
  assertEquals(config.version, "3");
  assertEquals(config.control.mode, 0o600);
  assertEquals(config.release_retention, { keep: 10, max_age: 0 });
  assertEquals(config.warnings, []);
  const [worker] = config.processes;
  assertEquals(worker, {
    id: "worker",
    policy: "companion",
    command: "node worker.js",
    cwd: "{{release_path}}",
    env: {},
    port: undefined,
    replicas: 1,
    health: { kind: "none" },
    stop_signal: "SIGTERM",
    graceful_stop: 10_000,
    lifecycle: { drain_timeout: 0 },
    non_blocking_drain: false,
    restart: { delay: 1000, window: 0, backoff_factor: 2, max_delay: 30_000 },
    memory: undefined,
    deploy_strategy: "persistent",
    user: undefined,
    depends_on: {},
    output_lines: 50,
  });
});

Deno.test("a proxied process brings a proxy with its defaults", async () => {
  const config = await configOf("processes: { web: { policy: proxied, command: x, port: 0 } }");
  assertEquals(config.proxy, {
    address: { host: "127.0.0.1", port: 8182 },
    front: "raw",
    upstream_host: "127.0.0.1",
    health: { ...defaults.HEALTH },
    drain_timeout: 60_000,
    force_stop_timeout: 10_000,
    trusted_proxies: [],
    timeouts: { header: 10_000, idle: 75_000, send: 60_000, connect: 5_000, response: 60_000 },
    limits: { header_bytes: 65_536, headers: 200, body: 0 },
    hold: 2000,
  });
  assertEquals(config.processes[0].health, { kind: "http", ...defaults.HEALTH });
});

Deno.test("defaults that come from elsewhere follow it", async () => {
  const config = await configOf(`
proxy:
  address: "[::]:80"
  force_stop_timeout: 7s
  health: { path: /up, interval: 1s }
processes:
  web: { policy: proxied, command: x, port: 0, health: { timeout: 5s } }
  db: { policy: service, command: x, port: 1, health: { tcp: true } }
  q: { command: x, restart: { max_restarts: 3 }, graceful_stop: indefinite }
  r: { command: x, restart: { max_restarts: 3, window: 0 }, memory: { limit: 1MiB } }
legacy_takeover: { processes: [{ includes: [a] }, { includes: [b], name: bee }] }
`);
  const [web, db, q, r] = config.processes;
  assertEquals(config.proxy?.address, { host: "::", port: 80 });
  assertEquals(config.proxy?.upstream_host, "127.0.0.1");
  const times = { timeout: 5000, interval: 1000, attempt_timeout: 5000, start_delay: 0 };
  assertEquals(web.health, { kind: "http", path: "/up", ...times });
  assertEquals(db.health, { kind: "tcp", ...times, timeout: 30_000 });
  assertEquals([web.graceful_stop, q.graceful_stop], [7000, "indefinite"]);
  assertEquals(q.restart.window, 60_000);
  assertEquals(r.restart.window, 0);
  assertEquals(r.memory, { limit: 1_048_576, warn: 0, check_interval: 5000 });
  assertEquals(config.legacy_takeover, {
    supervisord: [],
    pm2: [],
    screens: [],
    processes: [{ name: "legacy process 1", includes: ["a"] }, { name: "bee", includes: ["b"] }],
    force_stop_timeout: 7000,
  });
});

Deno.test("addresses in all their forms", async () => {
  const forms: [string, string, number][] = [
    ["8080", "127.0.0.1", 8080],
    [":8080", "0.0.0.0", 8080],
    ["localhost:0", "localhost", 0],
    ["[::1]:443", "::1", 443],
    ["0.0.0.0:80", "0.0.0.0", 80],
  ];
  for (const [written, host, port] of forms) {
    const text = `proxy: { address: "${written}" }\nprocesses: { a: { command: x } }`;
    assertEquals((await configOf(text)).proxy?.address, { host, port }, written);
    if (written !== "8080") continue;
    assertEquals((await configOf(text.replaceAll('"', ""))).proxy?.address, { host, port });
  }
});

Deno.test("text is taken as written, whatever YAML would make of it", async () => {
  const config = await configOf(`
version: 3
control: { mode: 660, owner: 1000 }
processes:
  a:
    command: [printf, 0660, 1.10, true, 2001-12-14, 1_000, 12:30]
    env: { MODE: 0660, V: 1.10, T: True, D: 2001-12-14, HEX: 0x1F, SIX: 190:20:30, Q: "007", N: .inf }
    user: 0
`);
  const [a] = config.processes;
  assertEquals(config.control.mode, 0o660);
  assertEquals(config.control.owner, "1000");
  assertEquals(a.command, ["printf", "0660", "1.10", "true", "2001-12-14", "1_000", "12:30"]);
  assertEquals(a.env, {
    MODE: "0660",
    V: "1.10",
    T: "True",
    D: "2001-12-14",
    HEX: "0x1F",
    SIX: "190:20:30",
    Q: "007",
    N: ".inf",
  });
  assertEquals(a.user, "0");
});

Deno.test("the socket's mode means the same however it is written", async () => {
  for (const written of ["660", '"660"', "0660", '"0660"', "0o660", '"0o660"']) {
    const config = await configOf(
      `control: { mode: ${written} }\nprocesses: { a: { command: x } }`,
    );
    assertEquals(config.control.mode, 0o660, written);
  }
});

Deno.test("order, merge keys and anchors of the file are kept", async () => {
  const config = await configOf(`
x-base: &base { command: x, output_lines: 7 }
processes:
  zebra: { <<: *base, replicas: 2 }
  apple: { output_lines: 8, <<: *base }
  mango: *base
`);
  assertEquals(config.processes.map(({ id }) => id), ["zebra", "apple", "mango"]);
  assertEquals(config.processes.map((process) => process.output_lines), [7, 8, 7]);
});

Deno.test("expansion: forms, types, no recursion", async () => {
  const env = { PORT: "8000-8100", N: "3", EMPTY: "", A: "${B}", B: "b", ZERO: "007", YES: "true" };
  const config = await configOf(
    `
processes:
  web:
    command: "a \${A} $B $$ \${B}\${B} $\${B} \${C:-{{port}} x} \${EMPTY:-d} [\${EMPTY}]"
    port: \${PORT}
    replicas: \${N}
    non_blocking_drain: \${YES}
    env: { N: "\${N}", E: "\${EMPTY}", Z: \${ZERO}, D: "\${NONE:-}", R: \${B:?x} }
    user: \${EMPTY}
`.replace("Z: ${ZERO}", 'Z: "${ZERO}"').replace("R: ${B:?x}", 'R: "${B:?x}"'),
    { env },
  );
  const [web] = config.processes;
  assertEquals(web.command, "a ${B} $B $ bb ${B} {{port}} x d []");
  assertEquals(web.port, { from: 8000, to: 8100 });
  assertEquals([web.replicas, web.non_blocking_drain, web.user], [3, true, undefined]);
  assertEquals(web.env, { N: "3", E: "", Z: "007", D: "", R: "b" });
});

Deno.test("bare $VAR counts in RoadRunner's sections only", async () => {
  const section = (roadrunner: boolean): SectionSchema => ({
    schema: z.strictObject({ command: z.string() }),
    roadrunner,
  });
  const text = "http: { command: php $HOME/w.php }\nours: { command: php $HOME/w.php }";
  const sections = new Map([["http", section(true)], ["ours", section(false)]]);
  const { config } = await readFiles(text, { env: { HOME: "/h" } }, sections);
  assertEquals(config?.sections, {
    http: { command: "php /h/w.php" },
    ours: { command: "php $HOME/w.php" },
  });
});

Deno.test("sections: schema, defaults of an empty one, own rules, places", async () => {
  const jobs: SectionSchema = {
    schema: z.strictObject({ num: z.int().default(4), timeout: z.int().optional() }),
    roadrunner: true,
    check: (value) => {
      const { num } = value as { num: number };
      if (num < 100) return [];
      const message = "jobs.num is more than this machine has";
      return [{ severity: "warning", path: ["num"], message, fix: "write 4" }];
    },
  };
  const sections = new Map([["jobs", jobs]]);
  assertEquals((await readFiles("jobs:", {}, sections)).config?.sections, { jobs: { num: 4 } });
  const warned = await readFiles("jobs: { num: 100 }", {}, sections);
  assertEquals(warned.config?.warnings, [
    `${warned.dir}/supervisor.yaml:1:14: jobs.num is more than this machine has`,
  ]);
  assertEquals(warned.problems.map(({ line, column }) => [line, column]), [[1, 14]]);
  const wrong = await readFiles("jobs: { num: many, tiemout: 3 }", {}, sections);
  assertEquals(messages(wrong), [
    'jobs.num must be a whole number, got "many"',
    'unknown key "tiemout" in jobs',
  ]);
  assertEquals(wrong.problems[1].fix, 'did you mean "timeout"?');
});

Deno.test("include: later wins, maps merge, paths count from their own file", async () => {
  const { config, dir } = await readFiles({
    "supervisor.yaml": `
include: [parts/a.yaml, "\${WHICH}.yaml"]
control: { socket: main.sock }
proxy: { hold: 1s, drain_timeout: 1s, trusted_proxies: [10.0.0.1] }
processes: { web: { command: main, replicas: 1 } }
`,
    "parts/a.yaml": "include: deeper/c.yaml\nproxy: { hold: 2s }\nstate_dir: state",
    "parts/deeper/c.yaml": "proxy: { hold: 9s }\nprocesses: { c: { command: c } }",
    "b.yaml": "proxy: { hold: 3s, trusted_proxies: [] }\nprocesses: { web: { replicas: 4 } }",
  }, { env: { WHICH: "b" } });
  assertEquals([config?.proxy?.hold, config?.proxy?.drain_timeout], [3000, 1000]);
  assertEquals(config?.proxy?.trusted_proxies, []);
  assertEquals(config?.processes.map(({ id, replicas }) => [id, replicas]), [["web", 4], ["c", 1]]);
  assertEquals(config?.control.socket, join(dir, "main.sock"));
  assertEquals(config?.state_dir, join(dir, "parts/state"));
});

Deno.test("overrides: last wins, create what is missing, find ids with dots", async () => {
  const text = "processes: { mail.eu: { command: x }, web: { command: x } }";
  const config = await configOf(text, {
    env: { A: "no" },
    overrides: [
      "proxy.hold=1s",
      "proxy.hold=3s",
      "processes.mail.eu.replicas=3",
      'processes."web".command=[echo]',
      "processes.new.command=y",
      "proxy.trusted_proxies=[10.0.0.0/8, ::1]",
      "processes.web.env.A=",
      'processes.web.env.B=""',
    ],
  }).catch((error) => error);
  assertMatch(String(config), /processes\.web\.env\.A has no value/);
  const good = await configOf(text, {
    overrides: [
      "proxy.hold=1s",
      "proxy.hold=3s",
      "processes.mail.eu.replicas=3",
      'processes."web".command=[echo, "$${A}", "${A}"]',
      "processes.new.command=y",
      "proxy.trusted_proxies=[10.0.0.0/8, ::1]",
      'processes.web.env.B=""',
    ],
  });
  assertEquals(good.proxy?.hold, 3000);
  assertEquals(good.proxy?.trusted_proxies, ["10.0.0.0/8", "::1/128"]);
  assertEquals(good.processes.map(({ id }) => id), ["mail.eu", "web", "new"]);
  assertEquals(good.processes[0].replicas, 3);
  assertEquals(good.processes[1].command, ["echo", "$${A}", "${A}"]);
  assertEquals(good.processes[1].env, { B: "" });
});

Deno.test("an override mends what it replaces, an unset variable too", async () => {
  const text = "processes: { web: { command: x, user: '${UNSET}', replicas: many } }";
  const config = await configOf(text, {
    overrides: ["processes.web.user=app", "processes.web.replicas=2"],
  });
  assertEquals([config.processes[0].user, config.processes[0].replicas], ["app", 2]);
});

Deno.test("dotenv: below the environment, above nothing", async () => {
  const result = await readFiles({
    "supervisor.yaml": "processes: { a: { command: '${A}|${B}|${C}|${D}' } }",
    ".env": `A=file\nB=file # note\nexport C="q # \\"x\\"\\n\\$"\nD='l #\\n'\n`,
  });
  assertEquals(result.config, undefined);
  using scratch = new Scratch();
  const dotenv = join(scratch.dir, ".env");
  Deno.writeTextFileSync(
    dotenv,
    `A=file\nB=a b # note\nexport C="q # \\"x\\"\\n\\$"\nD='l #\\n'\n`,
  );
  const text = "processes: { a: { command: '${A}|${B}|${C}|${D}' } }";
  const config = await configOf(text, { env: { A: "real" }, dotenv });
  assertEquals(config.processes[0].command, 'real|a b|q # "x"\n$|l #\\n');
});

Deno.test("a value of a dotenv file is never shown", async () => {
  using scratch = new Scratch();
  const dotenv = join(scratch.dir, ".env");
  Deno.writeTextFileSync(dotenv, `TOKEN="hunter2\n`);
  const { problems } = await readFiles("processes: { a: { command: x } }", { dotenv });
  const told = problems.map(({ message, fix }) => `${message} ${fix}`).join();
  assertMatch(told, /the quotes of TOKEN do not match/);
  assert(!told.includes("hunter2"), told);
});

Deno.test("files that are none: one sentence each, no position", async () => {
  using scratch = new Scratch();
  const { dir } = scratch;
  const big = join(dir, "big.yaml");
  Deno.writeTextFileSync(big, `# ${"x".repeat(10_000_000)}`);
  const fifo = join(dir, "fifo.yaml");
  const made = await new Deno.Command("mkfifo", { args: [fifo] }).spawn().status;
  assert(made.success);
  const expected: [string, RegExp][] = [
    [join(dir, "none.yaml"), /there is no such file/],
    [dir, /this is a directory/],
    [big, /10000002 bytes, more than the 1048576/],
    [fifo, /not a regular file/],
    [join(big, "x.yaml"), /cannot be read|no such file/],
  ];
  for (const [file, pattern] of expected) {
    const error = await assertRejects(() => readOrFail({ file, env: {} }, new Map()), Failure);
    assertEquals(error.exit, 3);
    assertMatch(error.message, pattern);
    assertEquals((error.detail?.problems as { line: number }[])[0].line, 0);
  }
});

Deno.test("findConfig: supervisor.yaml, then .rr.yaml, else the directory is named", () => {
  using scratch = new Scratch();
  const { dir } = scratch;
  try {
    findConfig(dir);
    throw new Error("found one");
  } catch (error) {
    assert(error instanceof Failure);
    assertEquals(error.exit, 3);
    assert(error.message.includes(dir), error.message);
  }
  Deno.writeTextFileSync(join(dir, ".rr.yaml"), "");
  assertEquals(findConfig(dir), join(dir, ".rr.yaml"));
  Deno.writeTextFileSync(join(dir, "supervisor.yaml"), "");
  assertEquals(findConfig(dir), join(dir, "supervisor.yaml"));
});

Deno.test("warnings do not stop, and are counted apart", async () => {
  const { config, problems } = await readFiles("reload: {}\nprocesses: { a: { command: x } }");
  assertEquals(config?.warnings.length, 1);
  const { valid, errors, warnings } = problemsJson(problems);
  assertEquals({ valid, errors, warnings }, { valid: true, errors: 0, warnings: 1 });
});

Deno.test("more problems than anybody reads are counted, not listed", async () => {
  const keys = Array.from({ length: 5000 }, (_, i) => `key${i}: 1\n`).join("");
  const { problems } = await readFiles(`${keys}reload: {}\nprocesses: { a: { comand: x } }`);
  assertEquals(problems.length, 201);
  const [more, first] = problems;
  assertEquals(more.message, "there are 4802 more problems");
  assertEquals(first.message, 'unknown key "key0"');
});

Deno.test("there is a limit to the number of processes", async () => {
  const text = (count: number) =>
    "processes:\n" + Array.from({ length: count }, (_, i) => `  p${i}: { command: x }\n`).join("");
  assertEquals((await configOf(text(1000))).processes.length, 1000);
  assertEquals(messages(await readFiles(text(1001))), [
    "there are 1001 processes, more than the 1000 allowed",
  ]);
});

Deno.test("the default application is a valid name, whatever the directory is called", async () => {
  for (const [dir, name] of [["my app (1)", "my-app-1"], ["été", "t"], ["--", "app"]]) {
    const text = "processes: { a: { command: x } }";
    const { config } = await readFiles({ [`${dir}/supervisor.yaml`]: text });
    assertEquals(config?.application, name, dir);
  }
});
