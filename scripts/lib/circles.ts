/**
 * Finds circles in a graph of imports.
 *
 * Invariant: every circle-bound file takes part in at least one report, and no circle is reported
 * twice.
 */

/** Who imports whom, and where. */
export type Graph = Map<string, { to: string; line: number }[]>;

/** A circle; `path` begins and ends with `file`. */
export interface Circle {
  file: string;
  line: number;
  path: string[];
}

/** One circle for each import that closes one in a walk through the whole graph. */
export function findCircles(graph: Graph): Circle[] {
  const circles: Circle[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string) => {
    path.push(file);
    for (const { to, line } of graph.get(file) ?? []) {
      const at = path.indexOf(to);
      if (at >= 0) circles.push({ file, line, path: [file, ...path.slice(at)] });
      else if (!done.has(to)) visit(to);
    }
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) if (!done.has(file)) visit(file);
  return circles;
}
