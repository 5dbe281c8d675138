/**
 * The numbers of the frame format (Goridge v3) by name.
 *
 * Invariant: these are the wire's, not ours; none is ever renumbered.
 */

/** Version of the frame format, the high half of byte 0. */
export const VERSION = 1;

/** Bytes of a header without options. */
export const HEADER_SIZE = 12;

/** The same in words, as the low half of byte 0 counts. */
export const HEADER_WORDS = 3;

/** Most options a header may have; a peer that says more is refused, as the original does. */
export const MAX_OPTIONS = 10;

/** Largest payload that is sent or taken, bytes. The format could say four times as much. */
export const MAX_PAYLOAD = 1024 * 1024 * 1024;

/** Byte 1. The codecs exclude each other. */
export const Flag = {
  /** Handshake and stop. */
  control: 0x01,
  raw: 0x04,
  json: 0x08,
  msgpack: 0x10,
  gob: 0x20,
  /** The payload is the text of an error. */
  error: 0x40,
  proto: 0x80,
} as const;

/** Byte 10. */
export const Bit = {
  /** More frames of the same answer follow. */
  stream: 0x01,
  /** To the worker: stop producing the current stream. */
  stop: 0x02,
  /** From the worker: answer me with a pong. */
  ping: 0x04,
  pong: 0x08,
} as const;
