/** What children inherit. */

import { assertEquals } from "@std/assert";
import { inheritable } from "../../../lib/daemon/environment.ts";

Deno.test("children get the daemon's environment without what is for the daemon alone", () => {
  const kept = {
    PATH: "/bin",
    HOME: "/root",
    DATABASE_URL: "postgres://",
    SUPERVISOR_URL: "http://of.theirs",
    PORT: "7",
    MY_LISTEN_PORT: "7",
    EMPTY: "",
  };
  const dropped = {
    NOTIFY_SOCKET: "/run/systemd/notify",
    WATCHDOG_USEC: "1",
    WATCHDOG_PID: "1",
    LISTEN_FDS: "1",
    LISTEN_PID: "1",
    LISTEN_FDNAMES: "x",
    SUPERVISOR_DETACHED: "1",
    SUPERVISOR_DEBUG: "1",
  };
  assertEquals(inheritable({ ...dropped, ...kept }), kept);
});

Deno.test("what a supervisor above told the daemon of itself is not told to its children", () => {
  const names = [
    "APPLICATION",
    "PROCESS_ID",
    "RELEASE_ID",
    "RELEASE_PATH",
    "REVISION",
    "PORT",
    "WEB_PORT",
    "A_B_PORT",
    "REPLICA_INDEX",
    "REPLICA_COUNT",
    "PID",
  ];
  const above = Object.fromEntries(names.map((name) => [`SUPERVISOR_${name}`, "x"]));
  assertEquals(inheritable(above), {});
});
