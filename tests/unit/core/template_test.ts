/** Templates: what is replaced, what is left alone, and that no missing value renders as nothing. */

import { assertEquals } from "@std/assert";
import { placeholders, render } from "../../../lib/core/template.ts";
import { forSeeds } from "../../kit/random.ts";

Deno.test("template: replaces each placeholder, with or without spaces", () => {
  const values = new Map([["port", "18182"], ["env.HOME", "/root"], ["ports.web-2", "1"], [
    "empty",
    "",
  ]]);
  const cases: Record<string, string> = {
    "": "",
    "no placeholder": "no placeholder",
    "node server.js --port {{port}}": "node server.js --port 18182",
    "{{ port }}{{\tport\n}}{{port}}": "181821818218182",
    "{{env.HOME}}:{{ports.web-2}}": "/root:1",
    "[{{empty}}]": "[]",
  };
  for (const [text, expected] of Object.entries(cases)) {
    assertEquals(render(text, values), { text: expected });
  }
});

Deno.test("template: what is no placeholder stays as it is", () => {
  for (
    const text of ["{port}", "{{}}", "{{ }}", "{{a b}}", "{{port", "port}}", "${port}", "{{po$rt}}"]
  ) {
    assertEquals(render(text, new Map([["port", "1"]])), { text });
  }
  assertEquals(render("{{{port}}}", new Map([["port", "1"]])), { text: "{1}" });
});

Deno.test("template: a value is put in letter by letter, never read as a template or pattern", () => {
  const values = new Map([["a", "{{b}} $& $1 $$ $'"], ["b", "never"]]);
  assertEquals(render("<{{a}}>", values), { text: "<{{b}} $& $1 $$ $'>" });
});

Deno.test("template: names without a value are all reported, once each, in order", () => {
  assertEquals(render("{{z}} {{port}} {{a}} {{z}}", new Map([["port", "1"]])), {
    missing: ["z", "a"],
  });
  assertEquals(render("{{constructor}}{{__proto__}}{{size}}", new Map()), {
    missing: ["constructor", "__proto__", "size"],
  });
  assertEquals(placeholders("{{b}} {{ a }} {{b}} {{}}"), ["b", "a"]);
});

Deno.test("template: any text is its pieces put together", async () => {
  const names = ["port", "release_path", "env.PATH", "ports.web-1", "x"];
  await forSeeds(500, (random) => {
    const values = new Map<string, string>();
    for (const name of names) {
      if (random.chance(0.8)) values.set(name, random.text(random.int(0, 5), "a{}$&"));
    }
    let text = "";
    let expected = "";
    const used: string[] = [];
    for (let pieces = random.int(0, 8); pieces > 0; pieces--) {
      // Braces in the text around would make other placeholders than ours.
      const plain = random.text(random.int(0, 4), "ab $.-\n");
      const name = random.pick(names);
      text += `${plain}{{${random.pick(["", " ", "  "])}${name}}}`;
      expected += plain + (values.get(name) ?? "");
      used.push(name);
    }
    const unique = [...new Set(used)];
    const missing = unique.filter((name) => !values.has(name));
    assertEquals(render(text, values), missing.length > 0 ? { missing } : { text: expected });
    assertEquals(placeholders(text), unique);
  });
});
