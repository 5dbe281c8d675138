/** Public face of the process floor. */
export { Process } from "./process.ts";
export type { ProcessSnapshot, ProcessSpec, ProcessState, StartReason } from "./types.ts";
