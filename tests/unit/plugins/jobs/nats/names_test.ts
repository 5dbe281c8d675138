/** What things are called at NATS. */

import { assert, assertEquals } from "@std/assert";
import { sequenceOf } from "../../../../../plugins/jobs/nats/delayed.ts";
import {
  deadSubject,
  keyStream,
  nameOf,
  placesOf,
} from "../../../../../plugins/jobs/nats/names.ts";
import { takes } from "../../../../../plugins/jobs/nats/session.ts";

Deno.test("nats: names are those that the manual says", () => {
  const places = placesOf({ stream: "shop", subject: "jobs.mail" });
  assertEquals(places, {
    stream: "shop",
    subject: "jobs.mail",
    consumer: "supervisor-jobs=2email",
    delayed: "shop+jobs=2email+delayed",
    dead: "shop+jobs=2email+dead",
  });
  assertEquals(deadSubject(places, "a.b*"), "shop+jobs=2email+dead.a=2eb=2a");
  assertEquals(keyStream(places, 500), "shop+jobs=2email+keys+500");
});

Deno.test("nats: different texts have different names, and each is one that NATS takes", () => {
  const long = "x".repeat(500);
  const texts = [
    "a",
    "A",
    "a.b",
    "a b",
    "a=2eb",
    "a+b",
    "",
    " ",
    "ключ",
    "\0",
    "/",
    long,
    `${long}y`,
  ];
  const names = texts.map(nameOf);
  assertEquals(new Set(names).size, texts.length);
  for (const name of names) assert(/^[A-Za-z0-9_=-]{1,80}$/.test(name), name);
});

Deno.test("nats: a stream takes a subject by itself or by a wildcard", () => {
  for (const one of ["a.b", "a.*", "*.b", "a.>", ">", "*.*"]) assert(takes([one], "a.b"), one);
  for (const one of ["a", "a.b.c", "a.c", "a.b.>", "*"]) assert(!takes([one], "a.b"), one);
  assert(!takes(undefined, "a"));
});

Deno.test("nats: the place of a message, also in a domain", () => {
  assertEquals(sequenceOf("$JS.ACK.shop.consumer.1.42.7.1699.0"), 42);
  assertEquals(sequenceOf("$JS.ACK.domain.hash.shop.consumer.1.42.7.1699.0.token"), 42);
});
