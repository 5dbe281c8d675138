/**
 * Finding the program that is to run, before anything is started, so that "not found" is known at
 * once and said in full.
 *
 * Invariant: what is found here is what will be executed (an absolute path); the lookup is the
 * child's: its PATH, its working directory.
 */

import { Failure } from "../core/failure.ts";
import { cString, errno, libc } from "./ffi.ts";
import { errnoReason, reasonOf } from "./reason.ts";

/** Where programs are looked for when the child has no PATH; as execvp(3). */
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

const X_OK = 1;

/** What the failures of a start have in common. */
export type StartDetail = { argv: string[]; cwd: string; user?: string };

/** @throws Failure when `cwd` is not a directory one can work in. */
export function checkDirectory(cwd: string, detail: StartDetail): void {
  const refuse = (why: string, fix: string, cause?: unknown) => {
    const what = detail.argv[0] ?? "";
    return new Failure(`cannot start "${what}": the working directory "${cwd}" ${why}`, {
      fix,
      detail,
      cause,
    });
  };
  let isDirectory: boolean;
  try {
    isDirectory = Deno.statSync(cwd).isDirectory;
  } catch (error) {
    const why = reasonOf(error);
    throw refuse(
      why === errnoReason(2) ? "does not exist" : `cannot be entered: ${why}`,
      "create the directory, or correct cwd",
      error,
    );
  }
  if (!isDirectory) throw refuse("is not a directory", "correct cwd");
  if (!executable(cwd)) {
    throw refuse("cannot be entered: permission denied", "give this user the right to enter it");
  }
}

/**
 * The absolute path of a program.
 *
 * @param name as in argv: with a slash relative to `cwd`, without one looked up in `path`
 * @throws Failure saying where it was looked for
 */
export function findProgram(
  name: string,
  path: string | undefined,
  cwd: string,
  detail: StartDetail,
): string {
  const refuse = (why: string, fix: string) =>
    new Failure(`cannot start "${name}": ${why}`, { fix, detail });
  if (name === "") throw refuse("the program name is empty", "write a command");
  if (name.includes("/")) {
    const file = absolute(name, cwd);
    switch (kindOf(file)) {
      case "program":
        return file;
      case "missing":
        throw refuse(
          name === file ? "there is no such file" : `there is no file "${file}"`,
          "correct the command; relative names start at the working directory",
        );
      case "directory":
        throw refuse("it is a directory", "name a program in it");
      case "plain":
        throw refuse("it is not executable", `make it executable: chmod +x "${file}"`);
    }
  }
  const searched = path ?? DEFAULT_PATH;
  let plain: string | undefined;
  for (const directory of searched.split(":")) {
    const file = absolute(name, absolute(directory, cwd));
    const kind = kindOf(file);
    if (kind === "program") return file;
    if (kind === "plain") plain ??= file;
  }
  if (plain !== undefined) {
    throw refuse(`"${plain}" is not executable`, `make it executable: chmod +x "${plain}"`);
  }
  throw refuse(
    `there is no such program in PATH "${searched}"`,
    "install it, write its full path, or set PATH in env",
  );
}

/** The interpreter a script names in its first line; undefined when it names none. */
export function interpreterOf(file: string): string | undefined {
  try {
    using handle = Deno.openSync(file, { read: true });
    const bytes = new Uint8Array(256);
    const got = handle.readSync(bytes) ?? 0;
    const text = new TextDecoder().decode(bytes.subarray(0, got));
    return /^#![ \t]*([^ \t\n]+)/.exec(text)?.[1];
  } catch {
    return undefined; // unreadable, and only asked to explain another failure better
  }
}

function absolute(name: string, base: string): string {
  return name.startsWith("/") ? name : name === "" ? base : `${base.replace(/\/$/, "")}/${name}`;
}

function kindOf(file: string): "program" | "plain" | "directory" | "missing" {
  try {
    if (Deno.statSync(file).isDirectory) return "directory";
  } catch {
    return "missing"; // or not reachable for us, which is the same to who wants to run it
  }
  return executable(file) ? "program" : "plain";
}

function executable(path: string): boolean {
  if (libc().access(cString(path), X_OK) === 0) return true;
  return errno() === 26; // ETXTBSY: an executable that is being written; the start itself will tell
}
