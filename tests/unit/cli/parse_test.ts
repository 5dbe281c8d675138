/** Words to commands: what is accepted, and how everything else is refused. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Failure } from "../../../lib/core/failure.ts";
import { parse, type Parsed } from "../../../lib/cli/parse.ts";
import { COMMANDS } from "../../../lib/cli/table.ts";

const NOW = Date.UTC(2030, 0, 1);

function parsed(text: string): Parsed {
  return parse(text.split(" ").filter((word) => word !== ""), COMMANDS, () => NOW);
}

Deno.test("options of every command may stand before and after it", () => {
  const { command, values } = parsed("-c a.yaml -o x=1 deploy --release-path r -o y=2 --json");
  assertEquals(command?.name, "deploy");
  assertEquals(values.text("config"), "a.yaml");
  assertEquals(values.list("override"), ["x=1", "y=2"]);
  assertEquals(values.text("release-path"), "r");
  assertEquals([values.flag("json"), values.flag("wait")], [true, false]);
});

Deno.test("the last of several values counts", () => {
  assertEquals(parsed("-c a status --config=b").values.text("config"), "b");
});

Deno.test("values are typed", () => {
  const { values } = parsed("logs -f --lines 20 --since 1m30s --process web#0");
  assertEquals(values.flag("follow"), true);
  assertEquals(values.count("lines"), 20);
  assertEquals(values.moment("since"), NOW - 90_000);
  assertEquals(
    parsed("logs --since 2029-12-31T00:00:00Z").values.moment("since"),
    NOW - 86_400_000,
  );
  assertEquals(values.text("process"), "web#0");
});

Deno.test("arguments stay text", () => {
  assertEquals(parsed("scale web 007").arguments, ["web", "007"]);
  assertEquals(parsed("scale -- -web 3").arguments, ["-web", "3"]);
});

Deno.test("an option may have a value that looks like an option when it says so", () => {
  assertEquals(parsed("deploy --release-path r --release-id=-x").values.text("release-id"), "-x");
});

Deno.test("help needs nothing else", () => {
  assert(parsed("deploy --help").values.flag("help"));
  assert(parsed("scale -h").values.flag("help"));
  assertEquals(parsed("--version").command, undefined);
});

const REFUSED: [words: string, message: string, fix: string][] = [
  ["stauts", 'there is no command "stauts"', 'did you mean "supervisor status"?'],
  ["xyzzy", 'there is no command "xyzzy"', "see supervisor help"],
  ["-q status", 'unknown option "-q"', "see supervisor help"],
  ["status --wach", 'unknown option "--wach" for status', 'did you mean "--watch"?'],
  ["status --no-json", 'unknown option "--no-json" for status', 'did you mean "--json"?'],
  ["status -cx", 'unknown option "-cx" for status', "see supervisor status --help"],
  ["status --json=no", "--json takes no value", "write --json, or leave it out"],
  ["--json=no status", "--json takes no value", "write --json, or leave it out"],
  ["status --config", "--config needs a value", "write --config FILE"],
  ["status --config --json", "--config needs a value", "write --config FILE"],
  ["status --config=", "--config needs a value", "write --config FILE"],
  ["-o status", '-o needs KEY=VALUE, not "status"', "for example -o proxy.address=127.0.0.1:9000"],
  ["status now", 'status takes no arguments, but was given "now"', "see supervisor status --help"],
  ["deploy v1", 'deploy takes no arguments, but was given "v1"', "write --release-path v1"],
  ["deploy", "deploy needs --release-path", "write --release-path DIR"],
  ["rollback v1", 'rollback takes no arguments, but was given "v1"', "write --release-id v1"],
  ["scale web", "scale needs COUNT", "for example: supervisor scale worker 4"],
  [
    "scale web 1 2",
    'scale takes only 2 arguments, but was given "2"',
    "see supervisor scale --help",
  ],
  [
    "workers a b",
    'workers takes only one argument, but was given "b"',
    "see supervisor workers --help",
  ],
  ["help a b c", 'help takes only 2 arguments, but was given "c"', "see supervisor help --help"],
  [
    "jobs",
    "jobs needs one of list, stat, push, pause, resume, dead, retry, drop",
    "for example: supervisor jobs list",
  ],
  ["jobs lst", 'there is no command "jobs lst"', 'did you mean "supervisor jobs list"?'],
  ["jbos list", 'there is no command "jbos"', 'did you mean "supervisor jobs"?'],
  ["jobs --lines 5", 'unknown option "--lines"', "see supervisor help"],
  [
    "jobs list --lines 5",
    'unknown option "--lines" for jobs list',
    "see supervisor jobs list --help",
  ],
  ["jobs push mail", "jobs push needs NAME", "for example: supervisor jobs push mail App.Welcome"],
  ["jobs push a b --delay soon", '--delay needs a duration, not "soon"', "--delay 10m"],
  [
    "jobs push a b --priority 0",
    '--priority needs a whole number from 1 up, not "0"',
    "--priority 50",
  ],
  ["logs --lines 0", '--lines needs a whole number from 1 up, not "0"', "--lines 50"],
  ["logs --lines 1e3", '--lines needs a whole number from 1 up, not "1e3"', "--lines 50"],
  [
    "logs --since noon",
    '--since needs a duration back from now or a date, not "noon"',
    "--since 10m, or --since 2030-01-31T12:00:00Z",
  ],
  ["restart --policy servce", '--policy cannot be "servce"', 'did you mean "service"?'],
  [
    "restart --policy web",
    '--policy cannot be "web"',
    "one of proxied, companion, singleton, service",
  ],
  ["serve --ensure", "--ensure works only together with --detach", "add --detach"],
  [
    "serve --release-id x",
    "--release-id works only together with --release-path",
    "add --release-path",
  ],
];

Deno.test("commands of two words: options of every command stand anywhere", () => {
  for (const words of ["--json jobs stat mail", "jobs --json stat mail", "jobs stat mail --json"]) {
    const { command, values, arguments: [pipeline] } = parsed(words);
    assertEquals([command?.name, values.flag("json"), pipeline], ["jobs stat", true, "mail"]);
  }
  assertEquals(parsed("jobs --help").group, "jobs");
  assertEquals(parsed("jobs push --help").command?.name, "jobs push");
  assertEquals(parsed("jobs retry -- --id").arguments, ["--id"]);
});

Deno.test("a lone dash is the value of the option before it, and else a word", () => {
  const { values, arguments: words } = parsed("jobs push a - --payload-file -");
  assertEquals([values.text("payload-file"), words], ["-", ["a", "-"]]);
  assertEquals(parsed("jobs retry -- --id -").arguments, ["--id", "-"]);
});

Deno.test("durations", () => {
  assertEquals(parsed("jobs push a b --delay 1m30s").values.duration("delay"), 90_000);
  assertEquals(parsed("jobs push a b").values.duration("delay"), undefined);
});

for (const [words, message, fix] of REFUSED) {
  Deno.test(`refused: ${words}`, () => {
    const failure = assertThrows(() => parsed(words), Failure) as Failure;
    assertEquals([failure.message, failure.fix, failure.exit], [message, fix, 2]);
  });
}
