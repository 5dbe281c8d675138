/**
 * Sizes in bytes as people write them: `128MB` (decimal), `512MiB` (binary), `64KiB`; `0` needs no
 * unit.
 *
 * Invariant: letter case means nothing (`kb`, `KB`, `kB` are one unit), and decimal and binary are
 * never confused: only the `i` makes a unit binary.
 */

const FACTOR: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Bytes of a written size, or undefined when the text is not one. */
export function parseSize(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  const match = /^(\d+(?:\.\d+)?)\s?((?:[kmgt]i?)?b)$/i.exec(trimmed);
  if (match === null) return undefined;
  const bytes = Math.round(Number(match[1]) * FACTOR[match[2].toLowerCase()]);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** A size for people: `0 B`, `64.0 KiB`, `512 KiB`, `1.4 GiB`. */
export function formatSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let index = 0;
  // By what would be shown: 1023.7 KiB is 1.0 MiB, not "1024 KiB".
  while (Math.round(value) >= 1024 && index < units.length - 1) {
    value /= 1024;
    index++;
  }
  return `${value >= 99.95 || index === 0 ? Math.round(value) : value.toFixed(1)} ${units[index]}`;
}
