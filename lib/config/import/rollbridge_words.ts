/**
 * The names that rollbridge's commands use: templates and injected environment variables.
 *
 * Invariant: what a command of rollbridge's found under a name, ours finds there too; names that have
 * no counterpart are told, never replaced by a guess.
 */

import { placeholders } from "../../core/template.ts";

const TEMPLATES: Record<string, string> = {
  releasePath: "release_path",
  releaseId: "release_id",
  processId: "process_id",
  replicaIndex: "replica_index",
  replicaCount: "replica_count",
  "proxy.upstreamHost": "proxy.upstream_host",
};

const SAME = /^(?:application|revision|port|proxy\.host|proxy\.port|ports\..+|env\..+)$/;

const VARIABLES: Record<string, string> = {
  APPLICATION: "{{application}}",
  PROCESS_ID: "{{process_id}}",
  RELEASE_ID: "{{release_id}}",
  RELEASE_PATH: "{{release_path}}",
  REVISION: "{{revision}}",
  REPLICA_INDEX: "{{replica_index}}",
  REPLICA_COUNT: "{{replica_count}}",
  PORT: "{{port}}",
};

/** The templates of a text by our names; `unknown`: those that have none. */
export function translated(text: string): { text: string; unknown: string[] } {
  const unknown = placeholders(text).filter((name) =>
    TEMPLATES[name] === undefined && !SAME.test(name)
  );
  const out = text.replace(
    /\{\{\s*([A-Za-z0-9_.\-]+)\s*\}\}/g,
    (whole, name: string) => TEMPLATES[name] === undefined ? whole : `{{${TEMPLATES[name]}}}`,
  );
  return { text: out, unknown };
}

/**
 * The `ROLLBRIDGE_…` variables that texts use.
 *
 * @param ported ids of all processes that have a port
 */
export function variablesIn(texts: readonly string[], ported: readonly string[]) {
  const env: Record<string, string> = {};
  const unknown: string[] = [];
  const names = texts.flatMap((text) => text.match(/ROLLBRIDGE_[A-Z0-9_]+/g) ?? []);
  for (const name of new Set(names)) {
    const short = name.slice("ROLLBRIDGE_".length);
    const other = ported.find((id) => `${upper(id)}_PORT` === short);
    const template = VARIABLES[short] ?? (other === undefined ? undefined : `{{ports.${other}}}`);
    if (template === undefined) unknown.push(name);
    else env[name] = template;
  }
  return { env, unknown };
}

function upper(id: string): string {
  return id.replace(/[^A-Za-z0-9]+/g, "_").toUpperCase();
}
