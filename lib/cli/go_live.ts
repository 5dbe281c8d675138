/**
 * What deploy and rollback share: steps as they happen, then the result.
 *
 * Invariant: Ctrl-C ends only the watching, and says so; the exit code says whether the release is
 * live (0, or 6 with errors) or not.
 */

import type { DeployResult, Progress } from "../control/operations.ts";
import { Exit, type ExitCode, Failure } from "../core/failure.ts";
import { type Call, interrupted } from "./command.ts";
import { liveText, stepText } from "./render/progress.ts";

/** Runs `work` and tells of it. */
export async function goLive(
  call: Call,
  work: (tell: (step: Progress) => void, signal: AbortSignal) => Promise<DeployResult>,
): Promise<ExitCode> {
  const { out } = call;
  const { paint, talkPaint } = out.voice;
  let said = Promise.resolve();
  const tell = (step: Progress) => {
    said = said.then(() => out.talk(stepText(step, talkPaint)));
  };
  let result: DeployResult;
  try {
    result = await work(tell, call.interrupt());
  } catch (error) {
    throw error === interrupted ? givenUp() : error;
  } finally {
    await said;
  }
  await out.result(result, () => liveText(result, paint));
  return result.errors.length > 0 ? Exit.partly : Exit.done;
}

function givenUp(): Failure {
  return new Failure("interrupted; the daemon goes on with it", {
    fix: "see how it ends with `supervisor events -f` or `supervisor status`",
  });
}
