/**
 * Which program a configuration file belongs to, by its name and, where that does not say it, by what
 * is in it.
 *
 * Invariant: a guess is only made where no other kind fits; JavaScript is told apart by its value,
 * which somebody else finds out.
 */

import { basename } from "@std/path";

/** What can be imported. */
export const IMPORT_KINDS = ["rollbridge", "procfile", "pm2", "supervisord", "roadrunner"] as const;

/** One of them. */
export type Kind = typeof IMPORT_KINDS[number];

/** Whether a file has to be run to know what it says. */
export function isScript(file: string): boolean {
  return /\.[cm]?js$/.test(file);
}

/** Of a file that is not JavaScript. undefined: nobody's that we know. */
export function kindOfText(file: string, text: string): Kind | undefined {
  const name = basename(file);
  if (/^Procfile(?:\.|$)/i.test(name)) return "procfile";
  if (/^\.?rr(?:[.-].*)?\.ya?ml$/.test(name)) return "roadrunner";
  if (/^\s*\[(?:supervisord|program:[^\]]+)\]\s*(?:[;#].*)?$/m.test(text)) return "supervisord";
  if (/\.(?:conf|ini)$/.test(name)) return "supervisord";
  const data = /\.(?:json|ya?ml)$/.test(name);
  if (data && /^\s*["']?apps["']?\s*:/m.test(text)) return "pm2";
  if (/\.json$/.test(name)) return "pm2";
  if (data && /^(?:rpc|server|http|jobs|tcp)\s*:/m.test(text)) return "roadrunner";
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => /^[^#\s]/.test(line));
  const isProcfile = lines.length > 0 && lines.every((line) => /^[\w-]+:\s+\S/.test(line));
  return isProcfile && !data ? "procfile" : undefined;
}

/** Of a value that JavaScript exports. */
export function kindOfValue(value: unknown): Kind | undefined {
  if (Array.isArray(value)) return "pm2";
  if (typeof value !== "object" || value === null) return undefined;
  if ("apps" in value || "script" in value) return "pm2";
  return "processes" in value || "proxy" in value ? "rollbridge" : undefined;
}
