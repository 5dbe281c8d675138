/**
 * The one error type a user ever sees.
 *
 * Invariant: whatever reaches the CLI, the control API or the log as "it did not work" is a Failure:
 * one sentence that names the attempted action, quotes the value, says what is so, and (in `fix`)
 * what to do. Anything else that is thrown is a bug of ours and is reported as such.
 */

/** Exit codes of every command (product contract). */
export const Exit = {
  done: 0,
  failed: 1,
  usage: 2,
  config: 3,
  noDaemon: 4,
  running: 5,
  partly: 6,
} as const;

/** One of the values of {@linkcode Exit}. */
export type ExitCode = typeof Exit[keyof typeof Exit];

/** What a Failure may carry besides its sentence. */
export interface FailureOptions {
  /** Exit code of the command that ends with this failure; default `Exit.failed`. */
  exit?: ExitCode;
  /** One suggestion, an imperative sentence. */
  fix?: string;
  /** Machine-readable facts, shown with `--json` (argv, cwd, exit code, last output …). */
  detail?: Record<string, unknown>;
  /** The error underneath; never shown to users, logged at debug level. */
  cause?: unknown;
}

/** An operation that did not succeed, explained. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exit: ExitCode;
  readonly fix?: string;
  readonly detail?: Record<string, unknown>;

  constructor(message: string, options: FailureOptions = {}) {
    super(message, { cause: options.cause });
    this.exit = options.exit ?? Exit.failed;
    this.fix = options.fix;
    this.detail = options.detail;
  }

  /** Sentence and fix in one text. */
  get text(): string {
    return this.fix === undefined ? this.message : `${this.message}\n${this.fix}`;
  }
}

/** The shape a failure has in JSON: `--json` output, control API answers, events. */
export interface FailureJson {
  status: "error";
  error: string;
  fix?: string;
  exit: ExitCode;
  detail?: Record<string, unknown>;
}

/**
 * Renders any thrown value for users. A value that is not a Failure is a bug: its message is shown
 * without a stack trace (the log has the stack).
 */
export function failureJson(error: unknown): FailureJson {
  if (error instanceof Failure) {
    return {
      status: "error",
      error: error.message,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      exit: error.exit,
      ...(error.detail === undefined ? {} : { detail: error.detail }),
    };
  }
  return { status: "error", error: `internal error: ${messageOf(error)}`, exit: Exit.failed };
}

/** Rebuilds a Failure from its JSON form (the CLI's side of the control API). */
export function failureFromJson(json: FailureJson): Failure {
  return new Failure(json.error, { exit: json.exit, fix: json.fix, detail: json.detail });
}

/** The message of any thrown value; never empty, never throws. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  try {
    return String(error) || "no message";
  } catch {
    // An object that cannot be made a string (no prototype, a broken toString) has nothing to tell.
    return "no message";
  }
}
