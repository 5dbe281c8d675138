/**
 * What forbids a release of the repository as it is.
 *
 * Invariant: changes nothing; says everything that is in the way at once, each with what to do.
 */

import { run } from "../run.ts";
import { changelogSection } from "./changelog.ts";

/** Questions to git take no longer, milliseconds. */
const LIMIT = 20_000;

/** What is to be released. */
export interface Candidate {
  /** The repository. */
  root: string;
  version: string;
  changelog: string;
}

/** The tag of a version. */
export function tagOf(version: string): string {
  return `v${version}`;
}

/** Everything that is in the way; empty: nothing. */
export async function refusals({ root, version, changelog }: Candidate): Promise<string[]> {
  const reasons: string[] = [];
  const changed = await git(root, "status", "--porcelain");
  if (changed !== "") {
    const files = changed.split("\n").length;
    reasons.push(
      `the working tree is not clean (${files} of its files): commit, or put away what is not meant`,
    );
  }
  const section = changelogSection(changelog, version);
  if (section === undefined) {
    reasons.push(
      `CHANGELOG.md has no section "## ${version}": give what is unreleased that name and a date`,
    );
  } else if (section === "") {
    reasons.push(`the section "## ${version}" of CHANGELOG.md is empty: say what is new`);
  }
  const tag = tagOf(version);
  if (await git(root, "tag", "--list", tag) !== "") {
    reasons.push(
      `there is a tag ${tag} already: raise the version in deno.json and lib/core/version.ts`,
    );
  }
  return reasons;
}

/** Seconds since 1970 of the last commit: the time of everything that is made of it. */
export async function commitTime(root: string): Promise<number> {
  return Number(await git(root, "log", "-1", "--format=%ct"));
}

/** What git answers, trimmed. @throws Error when it cannot */
async function git(root: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr, cut } = await run(["git", "-C", root, ...args], { limit: LIMIT });
  if (code === 0) return stdout.trim();
  const why = cut ? `no answer after ${LIMIT / 1000} s` : stderr.trim();
  throw new Error(`git ${args[0]} does not work in ${root}: ${why}`);
}
