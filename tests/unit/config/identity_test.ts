/** Which daemon is meant must be readable from a file in any state. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { Failure } from "../../../lib/core/failure.ts";
import { readIdentity } from "../../../lib/config/mod.ts";
import type { ReadRequest } from "../../../lib/config/read.ts";
import { Scratch } from "../../kit/scratch.ts";

const THREE = `application: shop
control:
  socket: run/c.sock
  mode: 660
  group: deploy
state_dir: /var/lib/shop
`;

async function identityOf(text: string, request: Partial<ReadRequest> = {}) {
  using scratch = new Scratch();
  const file = join(scratch.dir, "supervisor.yaml");
  Deno.writeTextFileSync(file, text);
  const identity = await readIdentity({ file, env: {}, ...request });
  return { ...identity, scratch: scratch.dir };
}

const BROKEN: Record<string, string> = {
  "nothing wrong": "processes: { web: { command: x } }\n",
  "unknown keys": "procesess: {}\nwhat: is\n",
  "unset variables": "processes: { web: { command: '${NOPE}' } }\ninclude: '${NOPE}'\n",
  "wrong types": "processes: 7\nproxy: [x]\nversion: {}\n",
  "a missing include": "include: nowhere.yaml\n",
  "an open quote": 'processes:\n  web:\n    command: "x\n',
  "an open bracket": "processes: [\n",
  "a tab": "processes:\n\tweb: x\n",
  "bad indentation": "processes:\n  a: 1\n b: 2\n",
  "a tag": "processes: !!js/function x\n",
  "a second document": "---\nprocesses: {}\n",
  "a key twice": "processes: {}\nprocesses: {}\n",
  "an unquoted template": "proxy: { address: {{x}}/y }\n",
  "an alias circle": "processes: &a { b: *a }\n",
  "merge conflict marks": "<<<<<<< HEAD\nprocesses: {}\n=======\nprocesses: 1\n>>>>>>> x\n",
};

for (const [name, rest] of Object.entries(BROKEN)) {
  for (const text of [`${THREE}${rest}`, `${rest}${THREE}`]) {
    Deno.test(`identity with ${name} ${text.startsWith(THREE) ? "below" : "above"}`, async () => {
      const identity = await identityOf(text);
      assertEquals(identity.application, "shop");
      assertEquals(identity.state_dir, "/var/lib/shop");
      assertEquals(identity.control, {
        socket: join(identity.scratch, "run/c.sock"),
        mode: 0o660,
        owner: undefined,
        group: "deploy",
      });
    });
  }
}

Deno.test("identity: defaults, also from a file that is only junk", async () => {
  for (const text of ["", "[[[", "%&/(", "just text", "- a\n- b", "processes: {}"]) {
    const identity = await identityOf(text);
    assertEquals(identity.application, identity.dir.split("/").at(-1));
    assertEquals(identity.control, {
      socket: undefined,
      mode: 0o600,
      owner: undefined,
      group: undefined,
    });
    assertEquals(identity.state_dir, undefined);
  }
});

Deno.test("identity: expansion, dotenv and overrides count", async () => {
  using scratch = new Scratch();
  const dotenv = join(scratch.dir, "env");
  Deno.writeTextFileSync(dotenv, "NAME=from-dotenv\n");
  const text = "application: ${NAME}\ncontrol: { socket: '/run/${WHO}.sock' }\nbroken: [\n";
  const identity = await identityOf(text, { env: { WHO: "me" }, dotenv });
  assertEquals(identity.application, "from-dotenv");
  assertEquals(identity.control.socket, "/run/me.sock");
  const over = await identityOf(text, {
    env: { WHO: "me" },
    dotenv,
    overrides: ["application=over", "control.socket=/o.sock", "nonsense", "proxy.x=[", "a.b=c"],
  });
  assertEquals([over.application, over.control.socket], ["over", "/o.sock"]);
  const missing = await identityOf(text, {
    env: { WHO: "me", NAME: "n" },
    dotenv: join(scratch.dir, "missing"),
  });
  assertEquals(missing.application, "n");
});

Deno.test("identity: an included file may hold the keys", async () => {
  using scratch = new Scratch();
  const file = join(scratch.dir, "supervisor.yaml");
  Deno.writeTextFileSync(file, "include: name.yaml\nprocesses: 5\n");
  Deno.writeTextFileSync(join(scratch.dir, "name.yaml"), "application: included\n");
  assertEquals((await readIdentity({ file, env: {} })).application, "included");
});

Deno.test("identity: what is wrong elsewhere in control does not matter", async () => {
  const text = "application: shop\ncontrol: { mode: rwx, ownr: 5, socket: /c.sock, group: [a] }\n";
  const identity = await identityOf(text);
  assertEquals(identity.control, {
    socket: "/c.sock",
    mode: 0o600,
    owner: undefined,
    group: undefined,
  });
});

Deno.test("identity: fails only for its own keys, with a way out", async () => {
  const unset = await assertRejects(() => identityOf("application: ${NOPE}\n"), Failure);
  assertEquals(unset.exit, 3);
  assertMatch(unset.message, /supervisor\.yaml:1:14: error: environment variable NOPE is not set/);
  assertMatch(unset.fix!, /--socket PATH/);
  const bad = await assertRejects(() => identityOf("application: ../x\n"), Failure);
  assertMatch(bad.message, /application in .* must be letters/);
  const broken = await assertRejects(() => identityOf("x: [\ncontrol: { socket: [ }\n"), Failure);
  assertMatch(broken.message, /control in .* cannot be read as YAML/);
  const none = await assertRejects(
    () => readIdentity({ file: "/nowhere/supervisor.yaml", env: {} }),
    Failure,
  );
  assertMatch(none.message, /there is no such file/);
  assertEquals(none.exit, 3);
});
