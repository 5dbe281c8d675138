/**
 * Refuses every platform this program was not built for, in one sentence, before anything else runs.
 *
 * Invariant: everything below may count on Linux, glibc and a 64-bit machine.
 */

import { Failure, messageOf } from "../core/failure.ts";
import { libc } from "./ffi.ts";

/** What the check looks at; a parameter so that a test can ask about another machine. */
export interface Platform {
  os: string;
  arch: string;
  /** Opens libc; throws when it cannot. */
  openLibc(): unknown;
  /** True when /proc is there. */
  hasProc(): boolean;
}

const here: Platform = {
  os: Deno.build.os,
  arch: Deno.build.arch,
  openLibc: libc,
  hasProc: () => {
    try {
      return Deno.statSync("/proc/self/stat").isFile;
    } catch {
      return false; // whatever the reason, nothing of ours works without it
    }
  },
};

/** @throws Failure when this is not Linux with glibc and /proc on x86-64 or arm64. */
export function requirePlatform(platform: Platform = here): void {
  const { os, arch } = platform;
  const fix = "Use a Linux distribution with glibc (Debian, Ubuntu, RHEL, SUSE …).";
  if (os !== "linux") {
    throw new Failure(`supervisor runs on Linux only; this system is "${os}"`, { fix });
  }
  if (arch !== "x86_64" && arch !== "aarch64") {
    throw new Failure(`supervisor runs on x86_64 and aarch64 only; this machine is "${arch}"`);
  }
  try {
    platform.openLibc();
  } catch (error) {
    throw new Failure(`supervisor needs glibc, but "libc.so.6" cannot be used here`, {
      fix,
      cause: error,
      detail: { reason: messageOf(error) },
    });
  }
  if (!platform.hasProc()) {
    throw new Failure(`supervisor needs the process table, but "/proc" is not mounted`, {
      fix: "Mount it: mount -t proc proc /proc",
    });
  }
}
