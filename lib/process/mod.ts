/** Public face of the process floor. */
export { MemoryWatch } from "./memory.ts";
export { Process } from "./process.ts";
export type {
  LiveSettings,
  OutputLine,
  OutputRun,
  OutputSink,
  ProbeSpec,
  ProcessHost,
  ProcessSnapshot,
  ProcessSpec,
  ProcessState,
  StartFailureDetail,
  StartOptions,
  StartReason,
  StopOptions,
  StopReport,
} from "./types.ts";
