/**
 * From a `.rr.yaml`: it runs as it is, so only what is different here is told.
 *
 * Invariant: the text itself is not changed.
 */

import { Exit, Failure } from "../../core/failure.ts";
import { placeOf } from "../problem.ts";
import { read, type Sections } from "../read.ts";
import type { Draught } from "./draft.ts";

/** @returns what it is worth. @throws Failure (exit 3) when it is no configuration at all */
export async function fromRoadrunner(
  request: { file: string; env: Readonly<Record<string, string>> },
  sections: Sections,
  draught: Draught,
): Promise<string> {
  const { problems, application } = await read(request, sections);
  if (application === undefined) {
    const [first] = problems;
    throw new Failure(`cannot import "${request.file}": ${first?.message ?? "it is empty"}`, {
      exit: Exit.config,
      fix: first?.fix ?? "check that this is the right file",
    });
  }
  for (const problem of problems) {
    const { severity, message, fix } = problem;
    const where = problem.file === request.file ? `line ${problem.line}` : placeOf(problem);
    draught.note([], where, `${severity}: ${message}; ${fix}`);
  }
  return problems.some(({ severity }) => severity === "error")
    ? "It does not run yet; the errors below are what is in the way."
    : "It runs as it is, without a change: supervisor serve -c FILE.";
}
