/** Pieces of a release: the changelog's section, what is in the way, archives, bill of materials. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ROOT } from "../../../scripts/lib/project.ts";
import { pack, sums } from "../../../scripts/lib/release/archive.ts";
import { changelogSection } from "../../../scripts/lib/release/changelog.ts";
import { commitTime, refusals, tagOf } from "../../../scripts/lib/release/checks.ts";
import { type Lock, sbom } from "../../../scripts/lib/release/sbom.ts";
import { run } from "../../../scripts/lib/run.ts";
import { Scratch } from "../../kit/scratch.ts";

const CHANGELOG = `# Changelog

## Unreleased

- not yet

## 1.10.0 – 2026-01-02

### Added

- much

## 1.1.0

## 1.0.0

- all
`;

Deno.test("the changelog's section of a version, and of no other", () => {
  assertEquals(changelogSection(CHANGELOG, "1.10.0"), "### Added\n\n- much");
  assertEquals(changelogSection(CHANGELOG, "1.1.0"), "");
  assertEquals(changelogSection(CHANGELOG, "1.0.0"), "- all");
  assertEquals(changelogSection(CHANGELOG, "1.1"), undefined);
  assertEquals(changelogSection(CHANGELOG, "2.0.0"), undefined);
});

/** A repository of one commit, made at a known time. */
async function repository(scratch: Scratch) {
  const git = async (...args: string[]) => {
    const env = {
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_AUTHOR_DATE: "1700000000 +0000",
      GIT_COMMITTER_DATE: "1700000000 +0000",
    };
    const own = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    const { code, stderr } = await run(["git", "-C", scratch.dir, ...own, ...args], { env });
    assertEquals({ code, stderr: code === 0 ? "" : stderr }, { code: 0, stderr: "" });
  };
  await git("init", "--quiet");
  scratch.write("a", "1");
  await git("add", "a");
  await git("commit", "--quiet", "--message=one");
  const asked = (version: string) => refusals({ root: scratch.dir, version, changelog: CHANGELOG });
  return { git, asked };
}

Deno.test("a clean tree with a section and without a tag can be released", async () => {
  using scratch = new Scratch();
  const { asked } = await repository(scratch);
  assertEquals(await asked("1.10.0"), []);
  assertEquals(await commitTime(scratch.dir), 1_700_000_000);
});

Deno.test("everything that is in the way of a release is said at once", async () => {
  using scratch = new Scratch();
  const { git, asked } = await repository(scratch);
  await git("tag", tagOf("3.0.0"));
  scratch.write("a", "2");
  scratch.write("b", "new");
  const [dirty, section, tag, ...more] = await asked("3.0.0");
  assertEquals(more, []);
  assert(dirty.includes("not clean (2 of its files)"), dirty);
  assert(section.includes('no section "## 3.0.0"'), section);
  assert(tag.includes("there is a tag v3.0.0 already"), tag);
  const [, empty] = await asked("1.1.0");
  assert(empty.includes('"## 1.1.0" of CHANGELOG.md is empty'), empty);
});

Deno.test("what is no repository is an error that says so", async () => {
  using scratch = new Scratch();
  const candidate = { root: scratch.dir, version: "1.0.0", changelog: CHANGELOG };
  await assertRejects(() => refusals(candidate), Error, "git status does not work in");
});

Deno.test("an archive: one folder, the right modes, the same bytes each time", async () => {
  using scratch = new Scratch();
  const file = scratch.write("program", "#!/bin/sh\necho it runs\n", 0o600);
  const archive = scratch.path("thing-1.0.0-linux-x86_64.tar.gz");
  const make = async () => {
    await pack(archive, [
      { name: "thing", from: { file }, executable: true },
      { name: "man/man1/thing.1", from: { text: ".TH\n" } },
    ], 1_700_000_000);
    return await sums(scratch.dir, ["thing-1.0.0-linux-x86_64.tar.gz", "program"]);
  };
  const first = await make();
  Deno.writeTextFileSync(scratch.path("SHA256SUMS"), first);
  assertEquals(await make(), first);

  const sh = async (line: string) => await run(["sh", "-c", line], { cwd: scratch.dir });
  const checked = await sh("sha256sum --check --strict SHA256SUMS");
  assertEquals(checked.code, 0, checked.stderr);
  const unpacked = await sh("tar xzf *.tar.gz && cd thing-1.0.0-linux-x86_64 && ./thing");
  assertEquals(unpacked.stdout, "it runs\n");
  const { mode, mtime } = Deno.statSync(
    scratch.path("thing-1.0.0-linux-x86_64/man/man1/thing.1"),
  );
  assertEquals([mode! & 0o777, mtime!.getTime()], [0o644, 1_700_000_000_000]);
  assertEquals([...Deno.readDirSync(scratch.dir)].length, 4, "nothing is left beside");
});

const SUBJECT = {
  name: "thing",
  version: "1.0.0",
  license: "MIT",
  deno: "2.7.11",
  made: "2026-01-02T00:00:00.000Z",
};

Deno.test("the bill of materials names every package, its checksum and who needs it", () => {
  const lock: Lock = {
    specifiers: { "npm:@a/b@^1": "1.2.3", "npm:c@2.0.0": "2.0.0" },
    npm: {
      "@a/b@1.2.3": { integrity: `sha512-${btoa("\x00\xff")}`, dependencies: ["c", "d@3.0.0"] },
      "c@2.0.0": {},
      "d@3.0.0": {},
      "d@4.0.0_c@2.0.0": {},
    },
    workspace: { dependencies: ["npm:@a/b@^1", "npm:c@2.0.0"] },
  };
  const text = sbom(lock, SUBJECT);
  const { bomFormat, specVersion, metadata, components, dependencies } = JSON.parse(text);
  assertEquals([bomFormat, specVersion], ["CycloneDX", "1.6"]);
  assertEquals(metadata.component.purl, "pkg:generic/thing@1.0.0");
  assertEquals(components.map(({ purl }: { purl: string }) => purl), [
    "pkg:github/denoland/deno@v2.7.11",
    "pkg:npm/%40a/b@1.2.3",
    "pkg:npm/c@2.0.0",
    "pkg:npm/d@3.0.0",
    "pkg:npm/d@4.0.0",
  ]);
  assertEquals(components[1].group, "@a");
  assertEquals(components[1].hashes, [{ alg: "SHA-512", content: "00ff" }]);
  assertEquals(dependencies[0], {
    ref: "pkg:generic/thing@1.0.0",
    dependsOn: ["pkg:github/denoland/deno@v2.7.11", "pkg:npm/%40a/b@1.2.3", "pkg:npm/c@2.0.0"],
  });
  assertEquals(dependencies[1].dependsOn, ["pkg:npm/c@2.0.0", "pkg:npm/d@3.0.0"]);
  assertEquals(sbom(lock, SUBJECT), text);
});

Deno.test("a lock file that does not hold what it names is refused", () => {
  const asked: Lock = { specifiers: {}, workspace: { dependencies: ["npm:c@2.0.0"] } };
  assertThrows(() => sbom(asked, SUBJECT), Error, "does not hold npm:c@2.0.0");
  const needed: Lock = { specifiers: {}, npm: { "c@2.0.0": { dependencies: ["d"] } } };
  assertThrows(() => sbom(needed, SUBJECT), Error, "does not hold d");
});

Deno.test("our own lock file: every package has its checksum, every reference leads somewhere", () => {
  const lock: Lock = JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.lock`));
  const { metadata, components, dependencies } = JSON.parse(sbom(lock, SUBJECT));
  assertEquals(components.length, Object.keys(lock.npm!).length + 1);
  for (const { name, type, hashes } of components) {
    assert(type === "platform" || hashes[0].content.length === 128, name);
  }
  const refs = [metadata.component, ...components].map((one) => one["bom-ref"]);
  assertEquals(new Set(refs).size, refs.length);
  for (const { dependsOn = [] } of dependencies) {
    for (const ref of dependsOn) assert(refs.includes(ref), ref);
  }
  const reached = new Set<string>(
    dependencies.flatMap((one: { dependsOn: string[] }) => one.dependsOn),
  );
  assertEquals(
    components.filter((one: Record<string, string>) => !reached.has(one["bom-ref"])),
    [],
  );
});
