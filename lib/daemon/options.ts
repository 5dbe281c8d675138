/**
 * What `serve` hands to the daemon, and what the daemon says back once it is up.
 *
 * Invariant: the daemon itself prints nothing on stdout; whoever started it learns that it is ready
 * from `onReady`, called exactly once, or from the Failure that runDaemon throws before that.
 */

/** How the daemon was asked to run. */
export interface ServeOptions {
  /** Absolute path of the configuration file. */
  file: string;
  /** `key.path=value` of `-o`, in order. */
  overrides: string[];
  /** Absolute path of the `--dotenv` file. */
  dotenv?: string;
  /** Absolute path of the daemon log; undefined: what the configuration says. */
  log_file?: string;
  /** Where standard error and output lead when nobody is at them (`serve --detach`), absolute. */
  stderr_file?: string;
  /** Absolute path of the pid file; undefined: the place of lib/daemon/paths.ts. */
  pid_file?: string;
  /** Release to bring up instead of the remembered one; `path` is absolute. */
  release?: { path: string; id?: string; revision?: string };
  /** Called once everything serves and the control socket is open. Must not be awaited. */
  onReady(ready: Ready): void;
}

/** What is said when the daemon is up: the one line of `serve --detach`. */
export interface Ready {
  ready: true;
  pid: number;
  /** Path of the control socket. */
  socket: string;
  /** Where it takes work in: `127.0.0.1:8182`. */
  addresses: string[];
  active_release_id: string | null;
  /** The first file its log goes to. */
  log_file?: string;
}
