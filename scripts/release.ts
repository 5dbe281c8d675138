/**
 * `deno task release`: makes everything of a release in `dist/`. See docs/releasing.md.
 *
 * | state                                   | then                                               |
 * | --------------------------------------- | -------------------------------------------------- |
 * | something is in the way (checks.ts)     | all of it is said; exit 1; dist/ stays as it was   |
 * | --dry-run                               | says what would be made; makes nothing             |
 * | a target cannot be built                | exit 1; dist/ stays as it was                      |
 * | everything was made                     | dist/ is replaced as a whole                       |
 *
 * Invariant: nothing is published, tagged or pushed; what dist/ holds is a whole release or nothing.
 */

import { parseArgs } from "@std/cli/parse-args";
import { join } from "@std/path";
import { bashCompletion } from "../lib/cli/completion/bash.ts";
import { fishCompletion } from "../lib/cli/completion/fish.ts";
import { zshCompletion } from "../lib/cli/completion/zsh.ts";
import { manPage } from "../lib/cli/man.ts";
import { COMMANDS } from "../lib/cli/table.ts";
import { VERSION } from "../lib/core/version.ts";
import { describe } from "./compile.ts";
import { build } from "./lib/build.ts";
import { ELF_HEADER_BYTES, elfMachine } from "./lib/elf.ts";
import { ROOT } from "./lib/project.ts";
import { type Entry, pack, sums } from "./lib/release/archive.ts";
import { changelogSection } from "./lib/release/changelog.ts";
import { commitTime, refusals, tagOf } from "./lib/release/checks.ts";
import { sbom } from "./lib/release/sbom.ts";
import { run } from "./lib/run.ts";

/** What a release is built for. */
const TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

const DIST = join(ROOT, "dist");

/** Where a release is made before it takes the place of what is there. */
const NEXT = join(ROOT, ".cache", "dist");

const USAGE = `Usage: deno task release [--dry-run] [--any-image] [--target TRIPLE]…

  --dry-run    say what would be made, and what is in the way
  --any-image  take a runtime image that is not the official one (to try it out; not to publish)
  --target     only this target; may be repeated (default: ${TARGETS.join(", ")})`;

/** The name of a target's archive, without its ending. */
function archiveOf(target: string): string {
  return `supervisor-${VERSION}-linux-${target.split("-")[0]}`;
}

/** Builds for one target and looks at what came of it. @throws Error when that is not it */
async function binary(target: string, official: boolean): Promise<string> {
  const output = join(NEXT, `.supervisor-${target}`);
  const built = await build({ target, output, official });
  console.log(describe(built));
  const machine = elfMachine(Deno.readFileSync(output).subarray(0, ELF_HEADER_BYTES));
  if (!target.startsWith(`${machine}-`)) {
    throw new Error(`the binary for ${target} came out for ${machine}`);
  }
  if (target === Deno.build.target) {
    const { code, stdout, stderr } = await run([output, "version", "--json"], { limit: 20_000 });
    if (code !== 0) throw new Error(`${output} does not run (exit code ${code}): ${stderr}`);
    const { version } = JSON.parse(stdout);
    if (version !== VERSION) throw new Error(`the binary says ${version}, not ${VERSION}`);
  }
  return output;
}

/** What stands in an archive besides the program. */
function papers(): Entry[] {
  const text = (name: string, text: string): Entry => ({ name, from: { text } });
  const copy = (name: string, file = name): Entry => ({ name, from: { file: join(ROOT, file) } });
  return [
    copy("LICENSE"),
    copy("README.md"),
    copy("CHANGELOG.md"),
    copy("supervisor.schema.json", "schema/supervisor.schema.json"),
    text("man/man1/supervisor.1", manPage(COMMANDS)),
    text("completions/bash/supervisor", bashCompletion(COMMANDS)),
    text("completions/zsh/_supervisor", zshCompletion(COMMANDS)),
    text("completions/fish/supervisor.fish", fishCompletion(COMMANDS)),
  ];
}

/** Makes all of it in NEXT. @returns the names of its files */
async function make(targets: string[], notes: string, official: boolean): Promise<string[]> {
  const time = await commitTime(ROOT);
  const names: string[] = [];
  for (const target of targets) {
    const program = await binary(target, official);
    const name = `${archiveOf(target)}.tar.gz`;
    const entry: Entry = { name: "supervisor", from: { file: program }, executable: true };
    await pack(join(NEXT, name), [entry, ...papers()], time);
    Deno.removeSync(program);
    names.push(name);
  }
  const write = (name: string, text: string) => {
    Deno.writeTextFileSync(join(NEXT, name), text);
    names.push(name);
  };
  const lock = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.lock")));
  const subject = {
    name: "supervisor",
    version: VERSION,
    license: "MIT",
    deno: Deno.version.deno,
    made: new Date(time * 1000).toISOString(),
  };
  write(`supervisor-${VERSION}.cdx.json`, sbom(lock, subject));
  const checksums = await sums(NEXT, names);
  write("SHA256SUMS", checksums);
  write("notes.md", `${notes}\n`);
  write("tag.txt", `supervisor ${VERSION}\n\n${notes}\n\nSHA-256:\n\n${checksums}`);
  return names;
}

/** What a maintainer does next. */
function next(): string {
  const tag = tagOf(VERSION);
  return [
    "Next, see docs/releasing.md:",
    `  git tag --sign ${tag} --cleanup=whitespace --file=dist/tag.txt`,
    `  git push origin ${tag}`,
  ].join("\n");
}

async function release(targets: string[], dry: boolean, official: boolean): Promise<number> {
  const changelog = Deno.readTextFileSync(join(ROOT, "CHANGELOG.md"));
  const reasons = await refusals({ root: ROOT, version: VERSION, changelog });
  if (reasons.length > 0) {
    console.error(`cannot release ${VERSION}:`);
    for (const reason of reasons) console.error(`- ${reason}`);
    return 1;
  }
  const notes = changelogSection(changelog, VERSION)!;
  if (dry) {
    console.log(`would release ${VERSION} as ${tagOf(VERSION)}, and make in dist/:`);
    for (const target of targets) console.log(`  ${archiveOf(target)}.tar.gz`);
    console.log(`  supervisor-${VERSION}.cdx.json, SHA256SUMS, notes.md, tag.txt\n\n${notes}`);
    return 0;
  }
  clear(NEXT);
  Deno.mkdirSync(NEXT, { recursive: true });
  const names = await make(targets, notes, official);
  clear(DIST);
  Deno.renameSync(NEXT, DIST);
  console.log(`\n${VERSION} is in dist/: ${names.join(", ")}\n${next()}`);
  if (!official) console.log("\nATTENTION: not to be published, see --any-image.");
  return 0;
}

function clear(directory: string): void {
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function main(): Promise<number> {
  const args = parseArgs(Deno.args, {
    boolean: ["dry-run", "any-image", "help"],
    collect: ["target"],
    string: ["target"],
    unknown: (arg) => {
      console.error(`cannot release: unknown argument "${arg}"\n\n${USAGE}`);
      Deno.exit(2);
    },
  });
  if (args.help) {
    console.log(USAGE);
    return 0;
  }
  const asked = args.target as string[];
  const wrong = asked.find((target) => !TARGETS.includes(target));
  if (wrong !== undefined) {
    console.error(`cannot release for "${wrong}": one of ${TARGETS.join(", ")}`);
    return 2;
  }
  const targets = asked.length > 0 ? asked : TARGETS;
  try {
    return await release(targets, args["dry-run"] as boolean, !args["any-image"]);
  } catch (error) {
    console.error(`cannot release ${VERSION}: ${(error as Error).message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());
