/**
 * Lines of JSON out of a byte stream.
 *
 * Invariant: a line is bounded; what is not a whole line of JSON at the end of the stream is an error,
 * never a record.
 */

/** Longest line, characters. A status of a thousand processes is far shorter. */
const MAX_LINE = 64 * 1024 * 1024;

/** The values of a stream of JSON lines; empty lines are skipped. @throws SyntaxError, RangeError */
export async function* jsonLines<T>(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<T, void> {
  let rest = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    if (rest.length > MAX_LINE) {
      throw new RangeError(`a line is longer than ${MAX_LINE} characters`);
    }
    for (const line of lines) {
      if (line !== "") yield JSON.parse(line) as T;
    }
  }
  if (rest !== "") throw new SyntaxError("the last line has no end");
}
