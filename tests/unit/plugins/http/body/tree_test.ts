/** Names with brackets: the rules of the protocol, and that nothing a client sends breaks them. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BodyBroken } from "../../../../../lib/http/mod.ts";
import { jsonText, segments, Tree } from "../../../../../plugins/http/body/tree.ts";
import { forSeeds } from "../../../../kit/random.ts";
import { urlencoded } from "./kit.ts";

function treeOf(pairs: [string, string][]): string {
  const tree = new Tree<string>((value) => value === "");
  for (const [name, value] of pairs) tree.add(name, value);
  return tree.json(jsonText);
}

Deno.test("a name is cut at its brackets", () => {
  const cases: [string, string[]][] = [
    ["a", ["a"]],
    ["a[b][c]", ["a", "b", "c"]],
    ["arr[c]p", ["arr", "c", "p"]],
    ["arr[c]p[d]", ["arr", "c", "p", "d"]],
    ["a[]", ["a", ""]],
    ["a[][b]", ["a", "", "b"]],
    ["a[ b c ]", ["a", "bc"]],
    [" a b ", ["ab"]],
    ["a[b", ["a", "b"]],
    ["a]b", ["a", "b"]],
    ["a[", ["a"]],
    ["[a]", ["", "a"]],
    ["[]", ["", ""]],
    ["", [""]],
    ["ü[ß😀]", ["ü", "ß😀"]],
  ];
  for (const [name, path] of cases) assertEquals(segments(name), path, name);
});

Deno.test("values under their names: golden cases", () => {
  const cases: [[string, string][], string][] = [
    [[], "{}"],
    [[["name", "n1"], ["key", "v"]], `{"name":"n1","key":"v"}`],
    [[["k", "1"], ["k", "2"]], `{"k":"2"}`],
    [[["k", "1"], ["k", ""]], `{"k":""}`],
    [[["k[]", "1"], ["x", "y"], ["k[]", "2"]], `{"k":["1","2"],"x":"y"}`],
    [[["k[a]", "1"], ["k[b][c]", "2"]], `{"k":{"a":"1","b":{"c":"2"}}}`],
    [[["k[a][]", "1"], ["k[a][]", "2"]], `{"k":{"a":["1","2"]}}`],
    [[["k[][b]", "1"], ["k[][b]", "2"]], `{"k":{"":{"b":"2"}}}`],
    [
      [["10", "a"], ["9", "b"], ["x[2]", "c"], ["x[1]", "d"]],
      `{"10":"a","9":"b","x":{"2":"c","1":"d"}}`,
    ],
    [[["k", ""], ["k[a]", "1"]], `{"k":{"a":"1"}}`],
    [[["k[a]", "1"], ["k", ""]], `{"k":{"a":"1"}}`],
    [[["k", ""], ["k[]", "1"]], `{"k":["1"]}`],
    [[["k[]", "1"], ["k", ""]], `{"k":["1"]}`],
    [[["k", ""], ["k", "1"]], `{"k":"1"}`],
    [
      [["__proto__", "1"], ["a[__proto__][b]", "2"]],
      `{"__proto__":"1","a":{"__proto__":{"b":"2"}}}`,
    ],
    [[["constructor[prototype][x]", "1"]], `{"constructor":{"prototype":{"x":"1"}}}`],
    [[["q", 'a"b\\\n\u0000\ud800']], `{"q":"a\\"b\\\\\\n\\u0000\ufffd"}`],
  ];
  for (const [pairs, json] of cases) assertEquals(treeOf(pairs), json);
  assertEquals(({} as Record<string, unknown>).b, undefined);
});

Deno.test("a value and a branch under one name are refused", () => {
  const cases: [string, string][][] = [
    [["k", "1"], ["k[a]", "2"]],
    [["k[a]", "2"], ["k", "1"]],
    [["k", "1"], ["k[]", "2"]],
    [["k[]", "2"], ["k", "1"]],
    [["k[]", "2"], ["k[a]", "1"]],
    [["k[a]", "2"], ["k[]", "1"]],
  ];
  for (const pairs of cases) {
    const error = assertThrows(() => treeOf(pairs), BodyBroken, `"k`);
    assertEquals(error.status, 400);
  }
});

Deno.test("too deep a field is dropped, too many branches are refused", () => {
  const deep = (count: number) => "a" + "[b]".repeat(count - 1);
  assertEquals(treeOf([[deep(128), "1"]]), "{}");
  assertEquals(treeOf([[deep(127), "1"]]).match(/b/g)?.length, 126);
  const many: [string, string][] = Array.from({ length: 500 }, (_, i) => [`${i}${deep(127)}`, "1"]);
  const error = assertThrows(() => treeOf(many), BodyBroken, "branches");
  assertEquals(error.status, 413);
});

Deno.test("any names make JSON that reads back as they were, or a refusal", async () => {
  await forSeeds(500, (random) => {
    const pairs: [string, string][] = Array.from({ length: random.int(0, 12) }, () => [
      random.text(random.int(0, 10), 'ab[][][] 1"\\ü_'),
      random.text(random.int(0, 3), 'x"\\\n\t'),
    ]);
    let json: string;
    try {
      json = treeOf(pairs);
    } catch (error) {
      if (error instanceof BodyBroken) return;
      throw error;
    }
    const read = JSON.parse(json);
    assertEquals(Object.keys(read).length > 0, pairs.length > 0);
    // The last field always stands where its name says, unless it is empty.
    const [name, value] = pairs.at(-1) ?? ["", ""];
    if (value === "") return;
    const path = segments(name)!;
    const list = path.length > 1 && path.at(-1) === "";
    if (list) path.pop();
    // deno-lint-ignore no-explicit-any -- a tree of unknown shape
    const found = path.reduce<any>((at, key) => at[key], read);
    assertEquals(list ? found.at(-1) : found, value);
  });
});

Deno.test("urlencoded bodies are read as PHP reads them", async () => {
  const cases: [string, string][] = [
    ["", "{}"],
    ["&&&", "{}"],
    ["name[]=n1&name[]=n2&key=v", `{"name":["n1","n2"],"key":"v"}`],
    ["a=1+2%203&b=%C3%BC&c%5Bd%5D=%26%3D", `{"a":"1 2 3","b":"ü","c":{"d":"&="}}`],
    ["a&b=&c=d=e", `{"a":"","b":"","c":"d=e"}`],
    ["a=%&b=%4&c=%zz&d=%4g%41", `{"a":"%","b":"%4","c":"%zz","d":"%4gA"}`],
    ["a=%FF%C3&b=1;c=2", `{"a":"\ufffd\ufffd","b":"1;c=2"}`],
    ["a=%EF%BB%BFx", `{"a":"\ufeffx"}`],
    ["9=a&1=b", `{"9":"a","1":"b"}`],
  ];
  for (const [body, json] of cases) {
    assertEquals(await urlencoded(body), json, body);
    assertEquals(await urlencoded(body, 1), json, `${body} byte by byte`);
  }
});

Deno.test("an urlencoded body has at most 10,000 fields", async () => {
  await urlencoded("a=1&".repeat(10_000));
  const error = await assertRejects(
    () => urlencoded("a=1&".repeat(10_001)),
    BodyBroken,
    "10000 fields",
  );
  assertEquals(error.status, 413);
});

Deno.test("any bytes are an urlencoded form or a refusal, however they are cut", async () => {
  await forSeeds(300, async (random) => {
    const text = random.text(random.int(0, 60), "ab=&%41+[]C3ü");
    const read = (size: number) => urlencoded(text, size).catch((error) => `${error}`);
    const whole = await read(1000);
    if (whole.startsWith("{")) JSON.parse(whole);
    else assertEquals(whole.startsWith("BodyBroken"), true, whole);
    assertEquals(await read(random.int(1, 9)), whole);
  });
});
