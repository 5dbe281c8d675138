import { assertEquals } from "@std/assert";
import { realSystem } from "../../../lib/os/real.ts";

Deno.test("a program of another user can open its standard output anew", async () => {
  if (Deno.uid() !== 0) return;
  const dir = Deno.makeTempDirSync();
  const output = { stdout: `${dir}/out`, stderr: `${dir}/err` };
  using system = realSystem();
  const identity = { user: "65534", uid: 65534, gid: 65534, home: "/" };
  const argv = ["/bin/sh", "-c", "echo one; echo two >>/dev/stdout; echo three >>/dev/stderr"];
  const child = system.spawn({ argv, cwd: "/", env: { PATH: "/bin:/usr/bin" }, identity, output });
  assertEquals(await child.exited, { code: 0, signal: null });
  assertEquals(Deno.readTextFileSync(output.stdout), "one\ntwo\n");
  assertEquals(Deno.readTextFileSync(output.stderr), "three\n");
  Deno.removeSync(dir, { recursive: true });
});
