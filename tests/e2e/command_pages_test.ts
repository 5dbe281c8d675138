/**
 * Every example on the page of a command is run, as it stands there, by a shell: beside a daemon
 * with a live release and one before it, or where there is none.
 *
 * What an example ends with is 0 unless the table of exits says otherwise and why. Commands that go
 * on until Ctrl-C get a Ctrl-C once they have said something.
 */

import { assert, assertEquals } from "@std/assert";
import { killGroup, run } from "../../scripts/lib/run.ts";
import { blocksOf, type Page, PAGES } from "../unit/docs/pages.ts";
import { type Daemon, startDaemon, supervisor } from "../kit/daemon.ts";
import type { DaemonOptions } from "../kit/daemon_options.ts";
import { onPath } from "../kit/on_path.ts";
import { freePort } from "../kit/ports.ts";
import { fixture, program, webProcess } from "../kit/programs.ts";

/** An example takes no longer, milliseconds. */
const LIMIT = 60_000;

/** Pages whose examples change nothing: they share a daemon. */
const LOOKING = [
  ...["completion", "doctor", "events", "explain", "help", "jobs-list", "jobs-stat", "logs"],
  ...["plan", "status", "top", "version", "workers"],
];

/** Pages whose examples need a place without a daemon. */
const ALONE = ["init", "import", "serve", "recover", "schema", "systemd", "validate"];

/** Pages of which each example needs a place that the one before has not changed. */
const AFRESH = ["import", "init", "rollback", "serve", "shutdown"];

/** Goes on until Ctrl-C, and what it has said by then. */
const ENDLESS: [line: RegExp, said: string][] = [
  [/^supervisor serve(?!.*--detach)/, "daemon_ready"],
  [/(?: -f| --watch)$/, "\n"],
];

/** Examples that end otherwise than with 0 where they are run. */
const EXITS: Record<string, number> = {
  // Nobody sits at a terminal.
  "supervisor init": 2,
  // There is no job with that id.
  "supervisor jobs dead mail 6fd0a3f6-7f5a-4d5c-9c0e-2f8a3c1f1f55": 1,
  "supervisor jobs drop mail 6fd0a3f6": 1,
  "supervisor jobs retry mail 6fd0a3f6": 1,
};

const WORKER = `<?php
require getenv('RR_MODE') === 'jobs'
    ? '${fixture("php/jobs_worker.php")}'
    : '${fixture("php/http_worker.php")}';
`;

const ECOSYSTEM = `module.exports = { apps: [{ name: "shop", script: "server.js" }] };\n`;

const SUPERVISORD = `[supervisord]\n\n[program:shop]\ncommand=/bin/sleep 1000\n`;

const OPTIONS: DaemonOptions = {
  config: {
    proxy: {},
    processes: {
      web: webProcess(),
      worker: { command: program("worker.sh", "worker"), replicas: 2 },
    },
    server: { command: "php worker.php" },
    http: { address: `127.0.0.1:${freePort()}`, pool: { num_workers: 1 } },
    jobs: {
      pool: { num_workers: 1 },
      pipelines: { mail: { driver: "memory" }, reports: { driver: "memory" } },
    },
  },
  files: {
    "worker.php": WORKER,
    "data.bin": "data",
    ...Object.fromEntries(["v1", "v2", "42"].map((id) => [`releases/${id}/worker.php`, WORKER])),
  },
};

/** The lines of shell that a page shows. */
function examplesOf(page: Page): string[] {
  return blocksOf(page).filter(({ language }) => language === "sh")
    .flatMap(({ text }) => text.trim().split("\n"));
}

/** The example with the places of the test for those of the page. */
function here(line: string, d: Daemon): string {
  return line.replace("/srv/shop/42", d.path("releases/42"))
    .replace("/etc/supervisor/supervisord.conf", d.write("supervisord.conf", SUPERVISORD));
}

/** Environment of the shell: the program under its name, a home of its own. */
function environment(d: Daemon): Record<string, string> {
  const { env } = d.command();
  const home = d.path("home");
  for (
    const place of [
      ".local/share/bash-completion/completions",
      ".config/fish/completions",
      ".local/share/man/man1",
    ]
  ) Deno.mkdirSync(`${home}/${place}`, { recursive: true });
  return { ...env, HOME: home, PATH: onPath(d.path("bin"), supervisor()) };
}

/** Runs an example to its end. */
async function example(line: string, d: Daemon): Promise<void> {
  const argv = ["bash", "-o", "pipefail", "-c", here(line, d)];
  const endless = ENDLESS.find(([pattern]) => pattern.test(line));
  const { code, text } = endless === undefined
    ? await toItsEnd(argv, d)
    : await untilInterrupted(argv, endless[1], d);
  assertEquals(code, EXITS[line] ?? 0, `${line}\n${text}`);
}

async function toItsEnd(argv: string[], d: Daemon) {
  const options = { cwd: d.dir, env: environment(d), limit: LIMIT };
  const { code, stdout, stderr, cut } = await run(argv, options);
  assert(!cut, `${argv.at(-1)} goes on for ever\n${stdout}${stderr}`);
  return { code, text: stdout + stderr };
}

/** Presses Ctrl-C once the command has said `wanted`. */
async function untilInterrupted(argv: string[], wanted: string, d: Daemon) {
  const child = new Deno.Command("bash", {
    args: ["-c", `exec 2>&1; ${argv.at(-1)}`],
    cwd: d.dir,
    env: environment(d),
    stdin: "null",
    stdout: "piped",
    detached: true,
  }).spawn();
  const timer = setTimeout(() => killGroup(child.pid), LIMIT);
  let text = "";
  let pressed = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (pressed || !text.includes(wanted)) continue;
    pressed = true;
    killGroup(child.pid, "SIGINT");
  }
  const { code } = await child.status;
  clearTimeout(timer);
  assert(pressed, `${argv.at(-1)} never said "${wanted}"\n${text}`);
  return { code, text };
}

/** A daemon with a live release, one before it, and a job. */
async function living(): Promise<Daemon> {
  const d = await startDaemon(OPTIONS, "command_pages_test");
  const git = "git init -q && git -c user.name=t -c user.email=t@example.org";
  const made = await d.run(["sh", "-c", `${git} commit -q --allow-empty -m one`]);
  assertEquals(made.code, 0, made.stderr);
  for (const id of ["v1", "v2"]) {
    await d.ok("deploy", "--release-path", d.path("releases", id), "--release-id", id, "--wait");
  }
  return d;
}

async function alone(name: string): Promise<Daemon> {
  const d = await startDaemon({ ...OPTIONS, start: false }, "command_pages_test");
  d.write("ecosystem.config.js", ECOSYSTEM);
  if (name === "init") Deno.removeSync(d.configFile);
  return d;
}

const pages = PAGES.filter(({ name }) => name.startsWith("docs/commands/"));

/** The name of a page's command in its file name. */
function nameOf(page: Page): string {
  return page.name.slice("docs/commands/".length, -".md".length);
}

Deno.test("every example of commands that only look does what it says", async (t) => {
  await using d = await living();
  for (const page of pages.filter((page) => LOOKING.includes(nameOf(page)))) {
    for (const line of examplesOf(page)) await t.step(line, () => example(line, d));
  }
});

for (const page of pages.filter((page) => !LOOKING.includes(nameOf(page)))) {
  const name = nameOf(page);
  Deno.test(`${page.name}: every example does what it says`, async (t) => {
    const scenes = AFRESH.includes(name)
      ? examplesOf(page).map((line) => [line])
      : [examplesOf(page)];
    for (const lines of scenes) {
      await using d = ALONE.includes(name) ? await alone(name) : await living();
      for (const line of lines) await t.step(line, () => example(line, d));
      if (lines.some((line) => line.includes("--detach"))) await d.ok("shutdown");
    }
  });
}

Deno.test("every page has examples; each name and exit in the tables here belongs to one", () => {
  assertEquals(pages.filter((page) => examplesOf(page).length === 0).map(nameOf), []);
  const names = pages.map(nameOf);
  assertEquals([...LOOKING, ...ALONE, ...AFRESH].filter((name) => !names.includes(name)), []);
  const all = pages.flatMap(examplesOf);
  assertEquals(Object.keys(EXITS).filter((line) => !all.includes(line)), []);
});
