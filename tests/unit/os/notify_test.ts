import { assertEquals } from "@std/assert";
import {
  isOursAlone,
  monotonicMicros,
  ServiceNotice,
  watchdogInterval,
} from "../../../lib/os/notify.ts";
import { Scratch } from "../../kit/scratch.ts";

/** A datagram socket as a service manager's, by libc because the runtime has no abstract names here. */
class Manager implements Disposable {
  static readonly #libc = Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
    recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
  }).symbols;
  // AF_UNIX; SOCK_DGRAM, close-on-exec: programs of other tests shall not inherit it.
  readonly #fd = Manager.#libc.socket(1, 2 | 0o2000000, 0);

  /** `name` as in NOTIFY_SOCKET. */
  constructor(name: string) {
    const bytes = new TextEncoder().encode(
      name.startsWith("@") ? `\0${name.slice(1)}` : `${name}\0`,
    );
    const address = new Uint8Array(2 + bytes.length);
    address[0] = 1;
    address.set(bytes, 2);
    assertEquals(Manager.#libc.bind(this.#fd, address, address.length), 0);
  }

  /** The next message, which must have been sent already. */
  heard(): string | undefined {
    const buffer = new Uint8Array(4096);
    const MSG_DONTWAIT = 0x40;
    const got = Number(Manager.#libc.recv(this.#fd, buffer, 4096n, MSG_DONTWAIT));
    return got < 0 ? undefined : new TextDecoder().decode(buffer.subarray(0, got));
  }

  [Symbol.dispose](): void {
    Manager.#libc.close(this.#fd);
  }
}

Deno.test("every message arrives as the service manager expects it, by path and by abstract name", () => {
  using scratch = new Scratch();
  for (const name of [scratch.path("notify"), `@sup-test-${Deno.pid}`]) {
    using manager = new Manager(name);
    const notice = new ServiceNotice({ NOTIFY_SOCKET: name }, 7);
    assertEquals([notice.present, notice.watchdog], [true, undefined]);
    const told = (sent: boolean) => sent ? manager.heard() : "not sent";
    assertEquals(told(notice.ready()), "READY=1");
    assertEquals(told(notice.ready("live: v1\nand more")), "READY=1\nSTATUS=live: v1 and more");
    assertEquals(told(notice.status("draining")), "STATUS=draining");
    assertEquals(told(notice.stopping("bye")), "STOPPING=1\nSTATUS=bye");
    assertEquals(told(notice.alive()), "WATCHDOG=1");
    assertEquals(told(notice.extend(1500.5)), "EXTEND_TIMEOUT_USEC=1500500");
    assertEquals(told(notice.mainPid(42)), "MAINPID=42");
    const before = monotonicMicros();
    const [first, second] = told(notice.reloading())!.split("\n");
    const stamp = BigInt(second.replace("MONOTONIC_USEC=", ""));
    assertEquals([first, stamp >= before && stamp <= monotonicMicros()], ["RELOADING=1", true]);
  }
});

Deno.test("the stamp is that of the system's monotonic clock", () => {
  const uptime = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1e6;
  assertEquals(Math.abs(Number(monotonicMicros()) - uptime) < 60e6, true);
});

Deno.test("without a manager, or one that does not listen, nothing happens", () => {
  using scratch = new Scratch();
  for (
    const name of [
      undefined,
      "",
      "relative",
      "/",
      "@",
      scratch.path("nobody"),
      `/${"x".repeat(200)}`,
    ]
  ) {
    const env: Record<string, string> = name === undefined ? {} : { NOTIFY_SOCKET: name };
    assertEquals(new ServiceNotice(env, 7).ready(), false, name);
  }
});

Deno.test("a manager that never reads does not stall us", () => {
  using scratch = new Scratch();
  using _manager = new Manager(scratch.path("notify"));
  const notice = new ServiceNotice({ NOTIFY_SOCKET: scratch.path("notify") }, 7);
  let sent = 0;
  while (sent < 100_000 && notice.alive()) sent++;
  assertEquals(sent > 0 && sent < 100_000, true);
});

Deno.test("the watchdog is ours only when it says so", () => {
  assertEquals(watchdogInterval({ WATCHDOG_USEC: "30000000" }, 7), 15_000);
  assertEquals(watchdogInterval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 7), 15_000);
  assertEquals(watchdogInterval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, 7), undefined);
  for (const value of ["", "0", "-1", "x"]) {
    assertEquals(watchdogInterval({ WATCHDOG_USEC: value }, 7), undefined);
  }
  assertEquals(watchdogInterval({}, 7), undefined);
});

Deno.test("what the manager says to us is not for children", () => {
  const names = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "PATH",
  ];
  assertEquals(names.filter((name) => !isOursAlone(name)), ["PATH"]);
});
