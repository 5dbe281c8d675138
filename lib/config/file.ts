/**
 * Finding and reading the files of a configuration.
 *
 * Invariant: nothing but a regular, readable UTF-8 text of at most 1 MiB ever reaches the parser;
 * whatever else the path is gets one sentence.
 */

import { basename, dirname, join, resolve } from "@std/path";
import { Exit, Failure, messageOf } from "../core/failure.ts";
import type { Source } from "./tree.ts";

/** Names looked for when none is given, in this order. */
export const CONFIG_NAMES = ["supervisor.yaml", ".rr.yaml"] as const;

/** Largest file that is read, in bytes. */
export const MAX_FILE_BYTES = 1024 * 1024;

/**
 * The configuration file of a directory.
 *
 * @param cwd absolute path of the directory
 * @returns absolute path
 * @throws Failure (exit 3) naming the directory when it has none
 */
export function findConfig(cwd: string): string {
  for (const name of CONFIG_NAMES) {
    const file = join(cwd, name);
    try {
      if (Deno.statSync(file).isFile) return file;
    } catch {
      // Not there or not to be looked at: both mean "not this one", and the end says what was sought.
    }
  }
  throw new Failure(`no configuration file in ${JSON.stringify(cwd)}`, {
    exit: Exit.config,
    fix: `name one with --config FILE, or create ${CONFIG_NAMES[0]} there`,
  });
}

/** A file that was read, or why not (a clause) and what to do about it. */
export type ReadText = { source: Source } | { message: string; fix: string };

/**
 * Reads one file.
 *
 * @param file path; relative ones count from the process's working directory
 * @param name how the file is called in messages
 * @param order its place among the files of one configuration
 */
export function readText(file: string, name = file, order = 0): ReadText {
  const source: Source = { kind: "file", name, dir: dirname(resolve(file)), text: "", order };
  try {
    const info = Deno.statSync(file);
    if (info.isDirectory) {
      return {
        message: "this is a directory",
        fix: `name the file in it, e.g. ${join(name, CONFIG_NAMES[0])}`,
      };
    }
    if (!info.isFile) return { message: "this is not a regular file", fix: "name a regular file" };
    if (info.size > MAX_FILE_BYTES) {
      const size = `${info.size} bytes, more than the ${MAX_FILE_BYTES} that are read`;
      return { message: `the file has ${size}`, fix: "check that this is the right file" };
    }
    const text = new TextDecoder("utf-8", { fatal: true }).decode(Deno.readFileSync(file));
    if (text.includes("\0")) return BINARY;
    return { source: { ...source, text } };
  } catch (thrown) {
    if (thrown instanceof TypeError) return BINARY;
    if (thrown instanceof Deno.errors.NotFound) {
      return {
        message: "there is no such file",
        fix: `check the path, or create ${basename(name)}`,
      };
    }
    if (thrown instanceof Deno.errors.PermissionDenied) {
      return {
        message: "no permission to read this file",
        fix: "run as a user who may read it, or change its mode",
      };
    }
    return { message: `the file cannot be read: ${messageOf(thrown)}`, fix: "check the path" };
  }
}

const BINARY = {
  message: "this is not a UTF-8 text file",
  fix: "check that this is the right file, and save it as UTF-8",
};
