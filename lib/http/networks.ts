/**
 * Address blocks in CIDR notation, and whether an address lies in one.
 *
 * Invariant: an IPv4 address and its IPv6-mapped form (`::ffff:10.0.0.1`, as dual-stack listeners
 * report it) are the same address; text that is not an address lies in no block.
 */

import { Failure } from "../core/failure.ts";

interface Block {
  /** 16 bytes; IPv4 in its mapped form. */
  bytes: Uint8Array;
  bits: number;
}

const MAPPED_PREFIX_BITS = 96;

/** A set of address blocks. */
export class Networks {
  readonly #blocks: Block[];

  private constructor(blocks: Block[]) {
    this.#blocks = blocks;
  }

  /** No block: nobody is in it. */
  static readonly none = new Networks([]);

  /**
   * Parses `10.0.0.0/8`, `fd00::/8`, or single addresses.
   * @throws Failure naming the first text that is none of these
   */
  static parse(texts: readonly string[]): Networks {
    return texts.length === 0 ? Networks.none : new Networks(texts.map(parseBlock));
  }

  /** True when `address` (no brackets, no port) lies in one of the blocks. */
  has(address: string): boolean {
    if (this.#blocks.length === 0) return false;
    const bytes = parseAddress(address);
    return bytes !== undefined && this.#blocks.some((block) => contains(block, bytes));
  }
}

function contains(block: Block, address: Uint8Array): boolean {
  const whole = block.bits >> 3;
  for (let i = 0; i < whole; i++) if (block.bytes[i] !== address[i]) return false;
  const rest = block.bits & 7;
  return rest === 0 || (block.bytes[whole] ^ address[whole]) >> (8 - rest) === 0;
}

function parseBlock(text: string): Block {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text.trim());
  const bytes = match === null ? undefined : parseAddress(match[1]);
  const v4 = match !== null && !match[1].includes(":");
  const width = v4 ? 32 : 128;
  const bits = match?.[2] === undefined ? width : Number(match[2]);
  if (bytes === undefined || bits > width) {
    throw new Failure(`Cannot read "${text}" as an address block: it is no IPv4 or IPv6 network.`, {
      fix: "write it like 10.0.0.0/8, 192.168.1.7 or fd00::/8",
    });
  }
  return { bytes, bits: v4 ? bits + MAPPED_PREFIX_BITS : bits };
}

/** The 16 bytes of an address, or undefined when the text is none. */
export function parseAddress(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  const scope = text.indexOf("%");
  if (scope >= 0) text = text.slice(0, scope);
  if (!text.includes(":")) {
    bytes[10] = bytes[11] = 0xff;
    return parseV4(text, bytes, 12) ? bytes : undefined;
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0]);
  const tail = halves.length === 2 ? groups(halves[1]) : [];
  if (head === undefined || tail === undefined) return undefined;
  const given = head.length + tail.length;
  if (halves.length === 2 ? given > 14 : given !== 16) return undefined;
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** The bytes of `a:b:c` or `a:b:1.2.3.4`. */
function groups(text: string): number[] | undefined {
  const out: number[] = [];
  if (text === "") return out;
  const parts = text.split(":");
  for (let i = 0; i < parts.length; i++) {
    if (i === parts.length - 1 && parts[i].includes(".")) {
      const four = new Uint8Array(4);
      if (!parseV4(parts[i], four, 0)) return undefined;
      out.push(...four);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(parts[i])) return undefined;
      const value = parseInt(parts[i], 16);
      out.push(value >> 8, value & 0xff);
    }
  }
  return out;
}

function parseV4(text: string, into: Uint8Array, at: number): boolean {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return false;
  for (let i = 0; i < 4; i++) {
    const value = Number(match[i + 1]);
    if (value > 255) return false;
    into[at + i] = value;
  }
  return true;
}
