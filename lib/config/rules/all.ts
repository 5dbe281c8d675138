/**
 * What must hold between keys, where each key for itself is fine.
 *
 * Invariant: every rule runs; none depends on another having passed.
 */

import type { Problem } from "../problem.ts";
import type { RuleContext } from "./context.ts";
import { dependencyRules } from "./depends.ts";
import { fileRules, MAX_PROCESSES } from "./file.ts";
import { portRules } from "./ports.ts";
import { processRules } from "./process.ts";
import { roadRunnerRules } from "./roadrunner.ts";
import { templateRules } from "./templates.ts";

/** All rules. */
export function checkRules(context: RuleContext): Problem[] {
  const { config, declared } = context;
  // Some rules look at all pairs.
  if (declared.length > MAX_PROCESSES) return fileRules(context);
  return [
    ...fileRules(context),
    ...config.processes.flatMap((process) => processRules(process, context)),
    ...portRules(context),
    ...dependencyRules(context),
    ...templateRules(context),
    ...roadRunnerRules(context),
  ];
}
