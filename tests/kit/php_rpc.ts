/**
 * PHP programs that call an RPC server straight on the protocol.
 *
 * Invariant: what goes wrong in PHP is an error here, with what it printed.
 */

import { fixture } from "./programs.ts";

/** One call of rpc_calls.php. */
export type PhpCall = [method: string, argument: { json: unknown } | { hex: string }];

/** What it printed of the reply. */
export type PhpReply = { json?: unknown; hex?: string; error?: string };

/** Makes the calls from PHP, one after the other. */
export async function callFromPhp(address: string, calls: readonly PhpCall[]): Promise<PhpReply[]> {
  const lines = calls.map(([method, argument]) => `${JSON.stringify({ method, ...argument })}\n`);
  const out = await php("rpc_calls.php", [], address, lines.join(""));
  return out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Runs a program of tests/fixtures/php. @returns its output @throws Error when it fails */
export async function php(
  program: string,
  args: string[],
  address: string,
  input = "",
): Promise<string> {
  const command = new Deno.Command("php", {
    args: [fixture(`php/${program}`), ...args],
    env: { RR_RPC: address },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${err}${out}`);
  return out;
}
