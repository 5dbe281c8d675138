/**
 * What the header of an ELF image says: how long it is, without whatever has been appended to it,
 * and which machine it is for.
 *
 * A linker writes the section header table last, so an executable ends where that table ends; bytes
 * behind it are somebody's payload. Source: System V ABI, chapter 4, "ELF Header".
 *
 * Invariant: reads only the 64 bytes of the header and believes none of it without the magic number.
 */

/** Bytes needed to know the length. */
export const ELF_HEADER_BYTES = 64;

const MAGIC = [0x7f, 0x45, 0x4c, 0x46];
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;

/** Values of e_machine that we build for, as target triples call them. */
const MACHINES: Record<number, string> = { 62: "x86_64", 183: "aarch64" };

/**
 * Length in bytes of the image that begins with `header`: e_shoff + e_shnum × e_shentsize.
 *
 * @throws Error when this is not the header of a 64-bit little-endian ELF file
 */
export function elfLength(header: Uint8Array): number {
  const view = checked(header);
  const sectionTable = Number(view.getBigUint64(0x28, true));
  const entryBytes = view.getUint16(0x3a, true);
  const entries = view.getUint16(0x3c, true);
  if (sectionTable === 0 || entries === 0) throw new Error("an ELF file without sections");
  return sectionTable + entries * entryBytes;
}

/**
 * The machine that the image which begins with `header` runs on.
 *
 * @throws Error when this is not the header of a 64-bit little-endian ELF file
 */
export function elfMachine(header: Uint8Array): string {
  const machine = checked(header).getUint16(0x12, true);
  return MACHINES[machine] ?? `machine ${machine}`;
}

function checked(header: Uint8Array): DataView {
  if (header.length < ELF_HEADER_BYTES || MAGIC.some((byte, i) => header[i] !== byte)) {
    throw new Error("not an ELF file");
  }
  if (header[4] !== CLASS_64 || header[5] !== LITTLE_ENDIAN) {
    throw new Error("not a 64-bit little-endian ELF file");
  }
  return new DataView(header.buffer, header.byteOffset, ELF_HEADER_BYTES);
}
