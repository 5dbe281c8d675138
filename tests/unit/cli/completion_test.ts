/** Completion scripts, run by the shells themselves, and the manual page, by its formatter. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { bashCompletion } from "../../../lib/cli/completion/bash.ts";
import { fishCompletion } from "../../../lib/cli/completion/fish.ts";
import { zshCompletion } from "../../../lib/cli/completion/zsh.ts";
import { manPage } from "../../../lib/cli/man.ts";
import { namesOf } from "../../../lib/cli/command.ts";
import { COMMANDS } from "../../../lib/cli/table.ts";
import { Scratch } from "../../kit/scratch.ts";
import { supervisor } from "./kit.ts";

async function run(cwd: string, program: string, ...args: string[]) {
  const command = new Deno.Command(program, { args, cwd, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

function installed(program: string): boolean {
  return new Deno.Command("/bin/sh", { args: ["-c", `command -v ${program}`], stdout: "null" })
    .outputSync().success;
}

/** What bash offers for a line that ends at the cursor. */
async function offered(scratch: Scratch, ...line: string[]): Promise<string[]> {
  const quoted = line.map((word) => `'${word}'`).join(" ");
  scratch.write("completion.bash", bashCompletion(COMMANDS));
  scratch.write(
    "ask.bash",
    `set -u
source ./completion.bash
compopt() { :; }
COMP_WORDS=(supervisor ${quoted}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_supervisor
printf '%s\\n' "\${COMPREPLY[@]}"
`,
  );
  const { code, stdout, stderr } = await run(scratch.dir, "bash", "ask.bash");
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
  return stdout.split("\n").filter((word) => word !== "");
}

const LINES: [line: string[], offers: string[]][] = [
  [["sy"], ["systemd"]],
  [["--js"], ["--json"]],
  [["--config", "a.yaml", "vali"], ["validate"]],
  [["-c", ""], ["my file", "releases", "ask.bash", "completion.bash"]],
  [["serve", "--rel"], ["--release-path", "--release-id"]],
  [["serve", "--release-path", ""], ["releases"]],
  [["--config", "=", "a.yaml", "serve", "--rel"], ["--release-path", "--release-id"]],
  [["restart", "--policy", "s"], ["singleton", "service"]],
  [["restart", "--policy", "=", "se"], ["service"]],
  [["restart", "--process", ""], []],
  [["completion", ""], ["bash", "zsh", "fish"]],
  [["completion", "bash", ""], []],
  [["help", "depl"], ["deploy"]],
  [["import", "my"], ["my file"]],
  [["help", "jo"], ["jobs"]],
  [["jo"], ["jobs"]],
  [["jobs", "re"], ["resume", "retry"]],
  [["jobs", "--js"], ["--json"]],
  [["jobs", "--config", "a.yaml", "pu"], ["push"]],
  [["jobs", "push", "--payload-"], ["--payload-file"]],
  [["--json", "jobs", "push", "mail", "x", "--payload-file", "my"], ["my file"]],
  [["jobs", "nonsense", "--"], []],
  [["nonsense", "--"], []],
];

for (const [line, offers] of LINES) {
  Deno.test(`bash completes: supervisor ${line.join(" ")}`, async () => {
    using scratch = new Scratch();
    scratch.write("my file", "");
    Deno.mkdirSync(scratch.path("releases"));
    assertEquals((await offered(scratch, ...line)).sort(), [...offers].sort());
  });
}

Deno.test("bash offers every command, and no hidden one", async () => {
  using scratch = new Scratch();
  assertEquals(await offered(scratch, ""), namesOf(COMMANDS));
});

for (const [shell, make] of [["zsh", zshCompletion], ["fish", fishCompletion]] as const) {
  const ignore = !installed(shell);
  Deno.test({
    name: `${shell} takes its script`,
    ignore,
    async fn() {
      using scratch = new Scratch();
      const file = scratch.write("script", make(COMMANDS));
      const { code, stderr } = await run(scratch.dir, shell, "-n", file);
      assertEquals({ code, stderr }, { code: 0, stderr: "" });
    },
  });

  Deno.test(`the script for ${shell} has every option of every command, each line quoted`, () => {
    const script = make(COMMANDS);
    for (const { name, options } of COMMANDS) {
      for (const word of name.split(" ")) assertStringIncludes(script, word);
      for (const option of options) assertStringIncludes(script, option.name);
    }
    // Outside of quotes nothing may be run by an apostrophe or a back-tick in a text of the table.
    const bare = shell === "zsh"
      ? script.replace(/'\\''/g, "").replace(/'[^']*'/g, "")
      : script.replace(/'(?:[^'\\]|\\.)*'/g, "");
    assert(!/[`']/.test(bare.replace(/^#.*$/gm, "")), bare);
  });
}

Deno.test("completion: through the command line", async () => {
  const fish = await supervisor(["completion", "fish"]);
  assertEquals({ ...fish, stdout: "" }, { code: 0, stdout: "", stderr: "" });
  assertEquals(fish.stdout, fishCompletion(COMMANDS));
  const wrong = await supervisor(["completion", "bsh"]);
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.stderr, 'did you mean "bash"?');
  assertEquals((await supervisor(["completion"])).code, 2);
});

Deno.test({
  name: "the manual page has every command and option, and no formatter complains",
  ignore: !installed("groff"),
  async fn() {
    using scratch = new Scratch();
    const file = scratch.write("supervisor.1", manPage(COMMANDS));
    const { code, stdout, stderr } = await run(
      scratch.dir,
      "groff",
      ...["-man", "-ww", "-Tascii", "-P-cbou", "-rLL=200n", file],
    );
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    for (const { name, options, examples } of COMMANDS) {
      assertStringIncludes(stdout, `supervisor ${name}`);
      for (const option of options) assertStringIncludes(stdout, `--${option.name}`);
      for (const example of examples) assertStringIncludes(stdout, example);
    }
  },
});
