/**
 * The functions of libc that Deno has no name for, opened once.
 *
 * Invariant: nothing outside lib/os sees a pointer or an errno. Every call here is synchronous and
 * instantaneous; none blocks, so none needs a thread. Variadic functions (open, fcntl) are called
 * with their last argument as a plain register, which the ABIs of x86-64 and arm64 Linux both allow.
 */

const symbols = {
  __errno_location: { parameters: [], result: "pointer" },
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  isatty: { parameters: ["i32"], result: "i32" },
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  sysconf: { parameters: ["i32"], result: "i64" },
  access: { parameters: ["buffer", "i32"], result: "i32" },
  close_range: { parameters: ["u32", "u32", "i32"], result: "i32", optional: true },
  prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  prlimit64: { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" },
  adjtimex: { parameters: ["buffer"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  waitid: { parameters: ["i32", "i32", "buffer", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  sigfillset: { parameters: ["buffer"], result: "i32" },
  posix_spawn: {
    parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"],
    result: "i32",
  },
  posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_destroy: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" },
  posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" },
  posix_spawnattr_setsigmask: { parameters: ["buffer", "buffer"], result: "i32" },
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
  posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" },
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  // glibc 2.29; without it spawn.ts changes the directory around the call.
  posix_spawn_file_actions_addchdir_np: {
    parameters: ["buffer", "buffer"],
    result: "i32",
    optional: true,
  },
} as const;

type Libc = Deno.DynamicLibrary<typeof symbols>["symbols"];

// Opened with the module and kept for ever; what went wrong is told when it is needed, so that
// platform.ts can say it in a sentence.
let opened: Libc | undefined;
let refused: unknown;
try {
  opened = Deno.dlopen("libc.so.6", symbols).symbols;
} catch (error) {
  refused = error;
}

/** libc. @throws when there is none of that name (see platform.ts). */
export function libc(): Libc {
  if (opened === undefined) throw refused;
  return opened;
}

/** `errno` of the libc call made right before. */
export function errno(): number {
  const at = libc().__errno_location();
  return at === null ? 0 : new Deno.UnsafePointerView(at).getInt32();
}

const utf8 = new TextEncoder();

/** Text as C takes it: UTF-8 and a NUL. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return utf8.encode(text + "\0");
}

/** A `char *[]` with its NULL. `keep` must stay referenced as long as C may read the array. */
export interface CStrings {
  pointers: Uint8Array<ArrayBuffer>;
  keep: Uint8Array[];
}

/** Strings as `argv` and `envp` take them. */
export function cStrings(texts: string[]): CStrings {
  const keep = texts.map(cString);
  const pointers = new BigUint64Array(texts.length + 1);
  keep.forEach((bytes, i) => {
    pointers[i] = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
  });
  return { pointers: new Uint8Array(pointers.buffer), keep };
}

/** Flags of open(2); the same numbers on x86-64 and arm64. */
export const O_RDONLY = 0;
export const O_WRONLY = 0o1;
export const O_RDWR = 0o2;
export const O_CREAT = 0o100;
export const O_APPEND = 0o2000;
export const O_CLOEXEC = 0o2000000;

/** Opens a file close-on-exec; a descriptor, or -1 with {@linkcode errno} set. */
export function openFd(path: string, flags: number, mode = 0o600): number {
  return libc().open(cString(path), flags | O_CLOEXEC, mode);
}
