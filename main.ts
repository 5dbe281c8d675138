/** The program: a platform check, one command, its exit code. */

import { run } from "./lib/cli/run.ts";

if (import.meta.main) Deno.exit(await run(Deno.args));
