import { assertEquals } from "@std/assert";
import { Feed } from "../../../lib/telemetry/feed.ts";
import { thenFollow } from "../../../lib/telemetry/then_follow.ts";

const feedOf = (items: number, weight: number) =>
  new Feed<string>((item) => item.length, () => "dropped", { items, weight });

Deno.test("a follower gets what is published after it began, in order", async () => {
  const feed = feedOf(10, 100);
  feed.publish("before");
  const follower = feed.follow();
  feed.publish("a");
  feed.publish("b");
  feed.close();
  assertEquals(await Array.fromAsync(follower), ["a", "b"]);
});

Deno.test("one that waits gets the next item at once", async () => {
  const feed = feedOf(1, 1);
  const follower = feed.follow();
  for (const item of ["first and long", "second and long"]) {
    const next = follower.next();
    feed.publish(item);
    assertEquals((await next).value, item);
  }
});

Deno.test("one that does not read is dropped after its queue, the others are not", async () => {
  const feed = feedOf(3, 100);
  const [slow, quick] = [feed.follow(), feed.follow()];
  const seen: unknown[] = [];
  for (const item of ["a", "b", "c", "d", "e"]) {
    feed.publish(item);
    seen.push((await quick.next()).value);
  }
  assertEquals(seen, ["a", "b", "c", "d", "e"]);
  assertEquals([feed.followers, feed.dropped], [1, 1]);
  assertEquals(await Array.fromAsync(slow), ["a", "b", "c", "dropped"]);
});

Deno.test("weight is bounded, too; a single heavy item passes", async () => {
  const feed = feedOf(100, 10);
  const follower = feed.follow();
  feed.publish("x".repeat(50));
  assertEquals((await follower.next()).value?.length, 50);
  feed.publish("123456");
  feed.publish("12345");
  assertEquals(await Array.fromAsync(follower), ["123456", "dropped"]);
});

Deno.test("what was read makes room", async () => {
  const feed = feedOf(3, 10);
  const follower = feed.follow();
  for (let i = 0; i < 10_000; i++) {
    feed.publish("12345");
    assertEquals((await follower.next()).value, "12345");
  }
  assertEquals(feed.dropped, 0);
});

Deno.test("items that are not wanted take no room", async () => {
  const feed = feedOf(2, 100);
  const follower = feed.follow(undefined, (item) => item.startsWith("a"));
  for (let i = 0; i < 100; i++) feed.publish("b");
  feed.publish("a1");
  feed.close();
  assertEquals(await Array.fromAsync(follower), ["a1"]);
});

Deno.test("abort and return end the wait and forget the follower", async () => {
  const feed = feedOf(2, 100);
  const control = new AbortController();
  const aborted = feed.follow(control.signal);
  const left = feed.follow();
  const waits = [aborted.next(), left.next()];
  control.abort();
  await left.return!();
  assertEquals((await Promise.all(waits)).map(({ done }) => done), [true, true]);
  assertEquals(feed.followers, 0);
  feed.publish("nobody hears it");
  assertEquals(feed.follow(AbortSignal.abort()).next() instanceof Promise, true);
  assertEquals(feed.followers, 0);
});

Deno.test("first the past, then what comes", async () => {
  const feed = feedOf(5, 100);
  const both = thenFollow(["a", "b"].values(), feedIn(feed));
  feed.publish("c");
  assertEquals([(await both.next()).value, (await both.next()).value], ["a", "b"]);
  assertEquals((await both.next()).value, "c");
  const waiting = both.next();
  await both.return!();
  assertEquals((await waiting).done, true);
  assertEquals((await both.next()).done, true);
  assertEquals(feed.followers, 0);
});

Deno.test("a past that nothing follows just ends", async () => {
  assertEquals(await Array.fromAsync(thenFollow(["a"].values(), () => undefined)), ["a"]);
});

function feedIn(feed: Feed<string>) {
  const coming = feed.follow();
  return () => coming;
}
