import { assertEquals, assertStringIncludes } from "@std/assert";
import { findGroup, findUser, isListed } from "../../../lib/os/users.ts";
import { Scratch } from "../../kit/scratch.ts";
import { sentenceOf } from "./machine.ts";

function files(scratch: Scratch) {
  const passwd = scratch.write(
    "passwd",
    "root:x:0:0:root:/root:/bin/sh\n# comment\n\nweb:x:33:44:Web,,,:/var/www:/bin/false\n7:x:1007:8::/seven:\nnohome:x:50:51::\n",
  );
  const group = scratch.write("group", "root:x:0:\nwww:x:44:web,root\n");
  return { passwd, group };
}

Deno.test("a user by name, by number, with another group", () => {
  using scratch = new Scratch();
  const etc = files(scratch);
  const web = { user: "web", uid: 33, gid: 44, home: "/var/www" };
  assertEquals(findUser("web", etc), web);
  assertEquals(findUser("33", etc), web);
  assertEquals(findUser("web:root", etc), { ...web, gid: 0 });
  assertEquals(findUser("web:99", etc), { ...web, gid: 99 });
  assertEquals(findUser("nohome", etc).home, "/");
  assertEquals(findUser("4242", etc), { user: "4242", uid: 4242, gid: 4242, home: "/" });
  assertEquals(findUser("4242:www", etc), { user: "4242", uid: 4242, gid: 44, home: "/" });
});

Deno.test("a name made of digits is the name before it is a number", () => {
  using scratch = new Scratch();
  assertEquals(findUser("7", files(scratch)).uid, 1007);
});

Deno.test("who is unknown is never guessed", () => {
  using scratch = new Scratch();
  const etc = files(scratch);
  assertEquals(
    sentenceOf(() => findUser("wbe", etc)).split(" | ")[0],
    `there is no user "wbe" in ${etc.passwd}`,
  );
  assertStringIncludes(sentenceOf(() => findUser("web:wvw", etc)), `there is no group "wvw"`);
  assertStringIncludes(sentenceOf(() => findGroup("web", etc)), `there is no group "web"`);
  for (const text of ["", ":", "web:", ":www", "a:b:c"]) {
    assertEquals(sentenceOf(() => findUser(text, etc)).split(" | ")[0], `"${text}" is not a user`);
  }
  assertStringIncludes(sentenceOf(() => findUser("4294967295", etc)), "not a user or group number");
  assertEquals([findGroup("www", etc), findGroup("44", etc), findGroup("45", etc)], [44, 44, 45]);
  assertEquals([isListed(33, etc), isListed(34, etc)], [true, false]);
});

Deno.test("the system's own files: root is root", () => {
  assertEquals(findUser("root").uid, 0);
  assertEquals(findGroup("root"), 0);
});
