/**
 * Keys that are accepted because RoadRunner has them, and do nothing here.
 *
 * Invariant: each that is written is named once, with the reason its schema gives.
 */

import type * as z from "zod";
import { keyAt } from "./json_schema.ts";
import { type Problem, warning } from "./problem.ts";
import { children, dotted, type Node, type Path } from "./tree.ts";

/** A warning for every such key below `node`, which is at `base` of the file. */
export function withoutEffect(schema: z.ZodType, node: Node, base: Path): Problem[] {
  const problems: Problem[] = [];
  const visit = (below: Node, path: Path) => {
    for (const [key, value] of children(below)) {
      const at = [...path, key];
      const reason = keyAt(schema, at)?.no_effect;
      if (reason === undefined) {
        visit(value, at);
        continue;
      }
      const whole = [...base, ...at];
      const message = `${dotted(whole)} has no effect: ${reason}`;
      problems.push(warning(whole, message, "remove it to silence this", "key"));
    }
  };
  visit(node, []);
  return problems;
}
