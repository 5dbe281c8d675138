/** Files that are not what they seem, and JavaScript that means no good. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { Scratch } from "../../../kit/scratch.ts";
import { supervisor } from "../../cli/kit.ts";

interface Case {
  name: string;
  text: string;
  says: string;
  args?: string[];
}

const CASES: Record<string, Case> = {
  "endless JavaScript": {
    name: "pm2.config.js",
    text: "for (;;);",
    says: "did not end within 5s",
  },
  "JavaScript that never settles": {
    name: "rollbridge.mjs",
    text: "await new Promise(() => setInterval(() => {}, 1000));",
    says: "did not end within 5s",
  },
  "too much of it": {
    name: "pm2.config.js",
    text: 'module.exports = { apps: [{ script: "x".repeat(2_000_000) }] };',
    says: "more than 1000000 bytes",
  },
  "JavaScript that writes a file": {
    name: "rollbridge.mjs",
    text: 'import fs from "node:fs"; fs.writeFileSync("written", "x"); export default {};',
    says: "wants write access to",
  },
  "JavaScript that reads the environment": {
    name: "rollbridge.cjs",
    text: "module.exports = { application: process.env.SECRET, processes: [] };",
    says: 'wants env access to "SECRET"',
  },
  "JavaScript that runs a program": {
    name: "pm2.config.cjs",
    text: 'new Deno.Command("touch", { args: ["written"] }).outputSync();',
    says: "wants run access to",
  },
  "JavaScript that asks the network": {
    name: "pm2.config.mjs",
    text: 'await fetch("http://127.0.0.1:4242/"); export default {};',
    says: "wants net access to",
  },
  "JavaScript that gets code from elsewhere": {
    name: "pm2.config.mjs",
    text: 'export { default } from "http://127.0.0.1:2/x.js";',
    says: "cannot be evaluated",
  },
  "another file by require": {
    name: "ecosystem.config.js",
    text: 'module.exports = require("./base.js");',
    says: 'requires "./base.js", and other files and packages are not loaded',
  },
  "JavaScript that ends the process": {
    name: "ecosystem.config.js",
    text: "process.exit(0);",
    says: "ended with code 0 before its value was known",
  },
  "JavaScript that pretends to be the answer": {
    name: "ecosystem.config.js",
    text: 'console.log("\\n\\u0001supervisor:{"); Deno.exit(0);',
    says: "before its value was known",
  },
  "JavaScript that throws": {
    name: "ecosystem.config.js",
    text: 'throw new TypeError("no such luck");',
    says: "cannot be evaluated: TypeError: no such luck",
  },
  "JavaScript with a mistake": {
    name: "ecosystem.config.js",
    text: "module.exports = {",
    says: "cannot be evaluated: SyntaxError",
  },
  "a circle": {
    name: "ecosystem.config.js",
    text: "const a = {}; a.a = a; module.exports = a;",
    says: "cannot be evaluated: TypeError",
  },
  "no export": { name: "rollbridge.mjs", text: "const a = 1;", says: "exports nothing" },
  "an export of another kind": {
    name: "a.js",
    text: "module.exports = { a: 1 };",
    says: "is of no kind that is known",
  },
  "a kind that it is not": {
    name: "a.js",
    text: "module.exports = { a: 1 };",
    says: "as a PM2 ecosystem file: there is no list",
    args: ["--from", "pm2"],
  },
  "a Procfile without lines": { name: "Procfile", text: "\n# nothing\n", says: "no line has" },
  "INI without programs": { name: "a.conf", text: "[x]\na=b\n", says: "it has no [program:NAME]" },
  "JSON with a mistake": { name: "pm2.json", text: '{"apps": [', says: "as a PM2 ecosystem file" },
  "something else": { name: "notes.txt", text: "hello\n", says: "is of no kind that is known" },
  "bytes": { name: "a.conf", text: "a\0b", says: "this is not a UTF-8 text file" },
};

for (const [title, { name, text, says, args }] of Object.entries(CASES)) {
  Deno.test(`import: ${title}`, async () => {
    using scratch = new Scratch();
    scratch.write(name, text);
    const how = { cwd: scratch.dir, env: { SECRET: "shibboleth" } };
    const { code, stdout, stderr } = await supervisor(["import", ...args ?? [], name], how);
    assertStringIncludes(stderr, says);
    assertEquals(stderr.trim().split("\n").length, 2, stderr);
    assertEquals({ code, stdout, written: scratch.read("written") }, {
      code: 3,
      stdout: "",
      written: undefined,
    });
  });
}

Deno.test("import: a missing file, a directory, one without permission, no such kind", async () => {
  using scratch = new Scratch();
  scratch.write("locked.conf", "[program:x]\n", 0o000);
  const run = (...args: string[]) =>
    supervisor(["import", ...args], { cwd: scratch.dir, weak: true });
  const missing = await run("nothing.conf");
  const directory = await run(".");
  const locked = await run("locked.conf");
  const kind = await run("--from", "systemd", "locked.conf");
  const none = await run();
  assertEquals([missing, directory, locked, kind, none].map(({ code }) => code), [3, 3, 3, 2, 2]);
  assertStringIncludes(missing.stderr, "there is no such file");
  assertStringIncludes(directory.stderr, "this is a directory");
  assertStringIncludes(locked.stderr, "no permission to read this file");
  assertStringIncludes(kind.stderr, '--from cannot be "systemd"');
});
