/**
 * What was done to each job: the workers' files, read when all is over.
 *
 * Invariant: nothing but what workers wrote; times are the wall clock of the one machine.
 */

/** What workers did with one job. */
export interface Work {
  /** When they began. */
  readonly begun: number[];
  /** When they said that it is done. */
  readonly done: number[];
}

/** By id. @throws Error for a line that no worker writes */
export function readRecords(directory: string): Map<string, Work> {
  const works = new Map<string, Work>();
  for (const { name, isFile } of Deno.readDirSync(directory)) {
    if (!isFile) continue;
    const lines = Deno.readTextFileSync(`${directory}/${name}`).split("\n");
    for (const line of lines.slice(0, -1)) {
      const [, what, id, time] = /^(begun|done) (\S+) (\d+)$/.exec(line) ?? [];
      if (what === undefined) throw new Error(`a worker wrote "${line}"`);
      let work = works.get(id);
      if (work === undefined) works.set(id, work = { begun: [], done: [] });
      work[what as "begun" | "done"].push(Number(time));
    }
  }
  return works;
}

/** Deliveries of a job that began when a worker had said already that it is done. */
export function again({ begun, done }: Work): number {
  if (done.length === 0) return 0;
  const first = Math.min(...done);
  return begun.filter((time) => time > first).length;
}
