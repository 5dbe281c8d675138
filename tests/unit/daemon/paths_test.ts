/** Where a daemon keeps its things. */

import { assertEquals, assertThrows } from "@std/assert";
import type { ControlIdentity } from "../../../lib/config/config.ts";
import { Exit, Failure } from "../../../lib/core/failure.ts";
import { pathsOf } from "../../../lib/daemon/paths.ts";

function identity(more: Partial<ControlIdentity> = {}): ControlIdentity {
  const control = { mode: 0o600, ...more.control };
  return { file: "/app/supervisor.yaml", dir: "/app", application: "shop", ...more, control };
}

const USER = { HOME: "/home/me", XDG_RUNTIME_DIR: "/run/user/7" };

Deno.test("root has the system's places", () => {
  assertEquals(pathsOf(identity(), { HOME: "/root", XDG_STATE_HOME: "/x" }, 0), {
    runtime_dir: "/run/supervisor/shop",
    socket: "/run/supervisor/shop/control.sock",
    pid_file: "/run/supervisor/shop/pid",
    state_dir: "/var/lib/supervisor/shop",
    log_dir: "/var/log/supervisor/shop",
    spool_dir: "/var/log/supervisor/shop/spool",
  });
});

Deno.test("others have their own", () => {
  assertEquals(pathsOf(identity(), USER, 7), {
    runtime_dir: "/run/user/7/supervisor/shop",
    socket: "/run/user/7/supervisor/shop/control.sock",
    pid_file: "/run/user/7/supervisor/shop/pid",
    state_dir: "/home/me/.local/state/supervisor/shop",
    log_dir: "/home/me/.local/state/supervisor/shop/log",
    spool_dir: "/home/me/.local/state/supervisor/shop/log/spool",
  });
});

Deno.test("XDG_STATE_HOME comes before HOME; without a runtime directory the state has one", () => {
  const paths = pathsOf(identity(), { HOME: "/home/me", XDG_STATE_HOME: "/state" }, 7);
  assertEquals(paths.state_dir, "/state/supervisor/shop");
  assertEquals(paths.socket, "/state/supervisor/shop/run/control.sock");
});

Deno.test("places that are not absolute count as not set", () => {
  const env = { HOME: "/home/me", XDG_STATE_HOME: "state", XDG_RUNTIME_DIR: "run" };
  const paths = pathsOf(identity(), env, 7);
  assertEquals(paths.state_dir, "/home/me/.local/state/supervisor/shop");
  assertEquals(paths.socket, "/home/me/.local/state/supervisor/shop/run/control.sock");
});

Deno.test("a configured state directory has the logs, for root too", () => {
  const paths = pathsOf(identity({ state_dir: "/srv/shop/state" }), {}, 0);
  assertEquals(paths.state_dir, "/srv/shop/state");
  assertEquals(paths.log_dir, "/srv/shop/state/log");
  assertEquals(paths.socket, "/run/supervisor/shop/control.sock");
});

Deno.test("a configured socket has its pid file beside it", () => {
  const at = (socket: string) => pathsOf(identity({ control: { mode: 0o600, socket } }), USER, 7);
  assertEquals(at("/srv/shop/control.sock").pid_file, "/srv/shop/pid");
  assertEquals(at("/srv/shop.sock").pid_file, "/srv/shop.pid");
  assertEquals(at("/srv/shop.socket").pid_file, "/srv/shop.pid");
  assertEquals(at("/srv/shop").pid_file, "/srv/shop.pid");
  assertEquals(at("/srv/shop.sock").runtime_dir, "/srv");
});

Deno.test("without a home there must be a state directory", () => {
  for (const env of [{}, { HOME: "" }, { HOME: "relative" }]) {
    const failure = assertThrows(() => pathsOf(identity(), env, 7), Failure);
    assertEquals(failure.exit, Exit.config);
    assertEquals(
      failure.message,
      "there is no place for the state: neither XDG_STATE_HOME nor HOME is set",
    );
  }
  assertEquals(pathsOf(identity({ state_dir: "/s" }), {}, 7).socket, "/s/run/control.sock");
});

Deno.test("a socket path may have 107 bytes, not characters", () => {
  const at = (socket: string) => pathsOf(identity({ control: { mode: 0o600, socket } }), USER, 7);
  const longest = `/${"x".repeat(106)}`;
  assertEquals(at(longest).socket, longest);
  const tooLong = `/${"x".repeat(107)}`;
  const failure = assertThrows(() => at(tooLong), Failure);
  assertEquals(failure.exit, Exit.config);
  assertEquals(
    failure.text,
    `the control socket path "${tooLong}" is longer than the 107 bytes Linux allows\n` +
      "set control.socket to a shorter path",
  );
  assertThrows(() => at(`/${"é".repeat(54)}`), Failure);
});
