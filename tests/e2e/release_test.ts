/** A release, made from a clone as a maintainer would: what is in dist/ is whole, and runs. */

import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { VERSION } from "../../lib/core/version.ts";
import { npmImageFor } from "../../scripts/lib/image.ts";
import { CACHE, ROOT } from "../../scripts/lib/project.ts";
import { type Outcome, run } from "../../scripts/lib/run.ts";
import { Scratch } from "../kit/scratch.ts";

/** Making a release takes no longer, milliseconds. */
const LIMIT = 180_000;

/** The image that the program under test was built on, so that it is not fetched again. */
function imageAtHand(): Record<string, string> {
  const file = join(CACHE, "denort", `denort-${Deno.version.deno}-${Deno.build.target}`);
  try {
    Deno.statSync(file);
    return { DENORT_BIN: file };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}

/** A clone of the last commit, with programs run in it. */
class Clone {
  readonly #scratch = new Scratch();
  readonly dir = this.#scratch.path("clone");

  static async make(): Promise<Clone> {
    const clone = new Clone();
    await clone.#good(["git", "clone", "--quiet", ROOT, clone.dir], clone.#scratch.dir);
    return clone;
  }

  async commit(message: string): Promise<void> {
    const own = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    await this.#good(["git", ...own, "commit", "--quiet", "--all", `--message=${message}`]);
  }

  release(...args: string[]): Promise<Outcome> {
    const argv = [Deno.execPath(), "run", "-A", "scripts/release.ts", ...args];
    return run(argv, { cwd: this.dir, env: imageAtHand(), limit: LIMIT });
  }

  /** What a line of shell prints, run in dist/. */
  async inDist(line: string): Promise<string> {
    return (await this.#good(["sh", "-euc", line], join(this.dir, "dist"))).stdout;
  }

  async #good(argv: string[], cwd = this.dir): Promise<Outcome> {
    const outcome = await run(argv, { cwd, limit: LIMIT });
    assertEquals(outcome.code, 0, `${argv.join(" ")}\n${outcome.stdout}${outcome.stderr}`);
    return outcome;
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

/** Writes a section of the version into the changelog; what is unreleased goes to another one. */
function writeSection(clone: Clone): void {
  const file = join(clone.dir, "CHANGELOG.md");
  const text = Deno.readTextFileSync(file);
  const section = `## ${VERSION} – 2026-01-02\n\n### Added\n\n- A first release.\n\n## 0.0.1\n`;
  Deno.writeTextFileSync(file, text.replace("## Unreleased\n", `## Unreleased\n\n${section}`));
}

Deno.test({
  name: "a release is refused until it may be; then dist/ holds all of it",
  // The version that releases are made with has an image that can be had everywhere.
  ignore: npmImageFor(Deno.build.target) === undefined,
  fn: theWholeWay,
});

async function theWholeWay(): Promise<void> {
  using clone = await Clone.make();
  const machine = Deno.build.target.split("-")[0];
  const archive = `supervisor-${VERSION}-linux-${machine}`;
  const only = `--target=${Deno.build.target}`;

  writeSection(clone);
  const dirty = await clone.release("--dry-run");
  assertEquals([dirty.code, dirty.stdout], [1, ""]);
  assert(dirty.stderr.includes("the working tree is not clean (1 of its files)"), dirty.stderr);

  await clone.commit("A section for the version");
  const dry = await clone.release("--dry-run");
  assertEquals([dry.code, dry.stderr], [0, ""]);
  assert(dry.stdout.includes(`would release ${VERSION} as v${VERSION}`), dry.stdout);
  assert(dry.stdout.includes("- A first release."), dry.stdout);

  const made = await clone.release("--any-image", only);
  assertEquals(made.code, 0, made.stdout + made.stderr);
  assert(made.stdout.includes("ATTENTION: not to be published"), made.stdout);
  const files = (await clone.inDist("ls -A")).trim().split("\n");
  const expected = [`${archive}.tar.gz`, `supervisor-${VERSION}.cdx.json`, "SHA256SUMS"];
  assertEquals(files.sort(), [...expected, "notes.md", "tag.txt"].sort());
  await clone.inDist("sha256sum --check --strict SHA256SUMS");
  assertEquals(await clone.inDist("cat notes.md"), "### Added\n\n- A first release.\n");

  await clone.inDist(`tar xzf ${archive}.tar.gz`);
  const list = (await clone.inDist(`cd ${archive} && find . -type f`)).trim().split("\n").sort();
  assertEquals(list, [
    "./CHANGELOG.md",
    "./LICENSE",
    "./README.md",
    "./completions/bash/supervisor",
    "./completions/fish/supervisor.fish",
    "./completions/zsh/_supervisor",
    "./man/man1/supervisor.1",
    "./supervisor",
    "./supervisor.schema.json",
  ]);
  const version = await clone.inDist(`cd ${archive} && env -i ./supervisor version --json`);
  assertEquals(JSON.parse(version).version, VERSION);

  const sums = await clone.inDist("cat SHA256SUMS");
  const again = await clone.release("--any-image", only);
  assertEquals(again.code, 0, again.stderr);
  assertEquals(await clone.inDist("cat SHA256SUMS"), sums, "a release can be made again");

  const own = "git -c user.name=t -c user.email=t@example.org";
  await clone.inDist(`${own} tag -a v${VERSION} --cleanup=whitespace --file=tag.txt`);
  const tag = await clone.inDist(`git tag --list --format='%(contents)' v${VERSION}`);
  assert(tag.includes("### Added") && tag.includes(sums.trim()), tag);
  const twice = await clone.release("--any-image", only);
  assertEquals(twice.code, 1);
  assert(twice.stderr.includes(`there is a tag v${VERSION} already`), twice.stderr);
  assertEquals(await clone.inDist("cat SHA256SUMS"), sums, "dist/ stays as it was");
}

Deno.test("a release for an unknown target, or with an unknown option, is refused", async () => {
  const release = (arg: string) =>
    run([Deno.execPath(), "run", "-A", "scripts/release.ts", arg], { cwd: ROOT, limit: LIMIT });
  const target = await release("--target=riscv64-unknown-linux-gnu");
  assertEquals(target.code, 2);
  assert(target.stderr.includes("one of x86_64-unknown-linux-gnu"), target.stderr);
  const option = await release("--publish");
  assertEquals(option.code, 2);
  assert(option.stderr.includes('unknown argument "--publish"'), option.stderr);
});
