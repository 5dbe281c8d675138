/** beanstalkd of a test's own. */

import type { BrokerRecipe } from "./server.ts";

/** With a log that is synced before every answer; `more`: other options. */
export function beanstalkd(...more: string[]): BrokerRecipe {
  return recipe((dir) => {
    Deno.mkdirSync(`${dir}/log`, { recursive: true });
    return ["-b", `${dir}/log`, "-f0", ...more];
  });
}

/** Without a log. */
beanstalkd.inMemory = (): BrokerRecipe => recipe(() => []);

function recipe(options: (dir: string) => string[]): BrokerRecipe {
  return {
    name: "beanstalkd",
    package: "beanstalkd",
    argv: (port, dir) => {
      // A test run that is killed leaves no server.
      const run = "setpriv --pdeathsig KILL beanstalkd -l 127.0.0.1 -p".split(" ");
      return [...run, String(port), ...options(dir)];
    },
    answers: async (port) => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new TextEncoder().encode("list-tube-used\r\n"));
      const answer = new Uint8Array(64);
      const count = await connection.read(answer) ?? 0;
      return new TextDecoder().decode(answer.subarray(0, count)).startsWith("USING");
    },
  };
}
