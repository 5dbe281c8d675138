/**
 * The `service` section of RoadRunner: programs beside the workers. They become processes of ours.
 *
 * Invariant: types, schema and the mapping; a value of this type came out of the schema complete.
 */

/** One service, checked and complete. Milliseconds. */
export interface ServiceConfig {
  command: string | string[];
  process_num: number;
  exec_timeout: number;
  /** True: not started again when it ends. */
  remain_after_exit: boolean;
  restart_sec: number;
  timeout_stop_sec: number;
  env: Record<string, string>;
  user?: string;
  service_name_in_log: boolean;
}
