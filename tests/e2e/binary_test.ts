/** The compiled program stands alone: no home, no rights, no place to write, nothing beside it. */

import { assertEquals, assertMatch } from "@std/assert";
import { Scratch } from "../kit/scratch.ts";

const BINARY = Deno.env.get("SUPERVISOR_BIN");

Deno.test({
  name: "the binary runs in an empty directory, without HOME, as nobody, and writes nothing",
  // From source there is no binary; only root can become nobody.
  ignore: BINARY === undefined || Deno.uid() !== 0,
  async fn() {
    using scratch = new Scratch();
    const binary = scratch.path("supervisor");
    Deno.copyFileSync(BINARY!, binary);
    Deno.chmodSync(binary, 0o755);
    const config = scratch.write("supervisor.yaml", "processes: { one: { command: sleep 9 } }\n");
    for (const name of ["empty", "tmp"]) {
      Deno.mkdirSync(scratch.path(name));
      Deno.chmodSync(scratch.path(name), 0o555);
    }
    const asNobody = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command("setpriv", {
        args: ["--reuid=65534", "--regid=65534", "--clear-groups", binary, ...args],
        cwd: scratch.path("empty"),
        clearEnv: true,
        env: { TMPDIR: scratch.path("tmp"), PATH: "/usr/bin:/bin" },
      }).output();
      const text = new TextDecoder();
      return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
    };
    const version = await asNobody("version");
    assertEquals(version.code, 0, version.stderr);
    assertMatch(version.stdout, /^supervisor \d+\.\d+\.\d+/);
    const validate = await asNobody("validate", "-c", config);
    assertEquals(validate.code, 0, validate.stderr);
    assertEquals([...Deno.readDirSync(scratch.path("tmp"))], []);
    assertEquals([...Deno.readDirSync(scratch.path("empty"))], []);
  },
});
