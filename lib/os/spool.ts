/**
 * What the spool files of children need beyond plain file calls: giving read pages back to the disk
 * and finding where the data begins again.
 *
 * Invariant: nothing here ever changes what is beyond `from + length`, nor the size of the file, so a
 * child that appends meanwhile loses nothing. Offsets are exact up to 2^53.
 */

import { Failure } from "../core/failure.ts";

import { errno, libc, O_RDONLY, O_WRONLY, openFd } from "./ffi.ts";
import { errnoReason as reason } from "./reason.ts";

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const SEEK_END = 2;
const SEEK_DATA = 3;
const ENXIO = 6;

/** How far into the first block with data zeros are skipped: no file system has larger blocks. */
const LONGEST_BLOCK = 64 * 1024;

/**
 * Frees the disk space of `length` bytes from offset `from`; they read as zeros from then on.
 *
 * @returns false where the file system cannot do it (then truncate when everything is read)
 * @throws Failure when the file cannot be opened
 */
export function punchHole(path: string, from: number, length: number): boolean {
  if (length <= 0) return true;
  const fd = open(path, O_WRONLY);
  try {
    const mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
    return libc().fallocate(fd, mode, BigInt(from), BigInt(length)) === 0;
  } finally {
    libc().close(fd);
  }
}

/**
 * Offset of the first byte at or after `from` that is not in a hole and not one of the zeros a hole
 * leaves at the head of a block; the size of the file when nothing but hole is left.
 *
 * A file system without holes answers like one whose holes are written zeros.
 * @throws Failure when the file cannot be opened or read
 */
export function firstData(path: string, from: number): number {
  const fd = open(path, O_RDONLY);
  try {
    const size = Number(libc().lseek(fd, 0n, SEEK_END));
    if (from >= size) return size;
    const data = Number(libc().lseek(fd, BigInt(from), SEEK_DATA));
    if (data < 0) {
      const why = errno();
      if (why === ENXIO) return size;
      throw new Failure(`cannot look for data in "${path}": ${reason(why)}`);
    }
    return data + leadingZeros(fd, data, path);
  } finally {
    libc().close(fd);
  }
}

/** Bytes allocated for the file on disk, holes not counted. @throws what Deno.stat throws. */
export function diskUsage(path: string): number {
  return (Deno.statSync(path).blocks ?? 0) * 512;
}

function leadingZeros(fd: number, from: number, path: string): number {
  const block = new Uint8Array(LONGEST_BLOCK);
  const got = Number(libc().pread(fd, block, BigInt(block.length), BigInt(from)));
  if (got < 0) throw new Failure(`cannot read "${path}": ${reason(errno())}`);
  const first = block.subarray(0, got).findIndex((byte) => byte !== 0);
  return first === -1 ? got : first;
}

function open(path: string, flags: number): number {
  const fd = openFd(path, flags);
  if (fd < 0) throw new Failure(`cannot open "${path}": ${reason(errno())}`);
  return fd;
}
