/**
 * As much of the protobuf wire format as HTTP heads need: varints and length-delimited fields.
 *
 * Invariant: pure; a message that ends inside a field is refused, an unknown field is passed over.
 */

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;
const MORE = 0x80;

/** One field: a number, or bytes. */
export type Field = { number: number; value: number; bytes?: undefined } | {
  number: number;
  value?: undefined;
  bytes: Uint8Array;
};

/** The fields of a message, in order. @throws Error */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  const at = { byte: 0 };
  while (at.byte < message.length) {
    const key = varint(message, at);
    const number = Math.floor(key / 8);
    switch (key % 8) {
      case VARINT:
        yield { number, value: varint(message, at) };
        break;
      case DELIMITED: {
        const length = varint(message, at);
        yield { number, bytes: cut(message, at, length) };
        break;
      }
      case FIXED64:
        cut(message, at, 8);
        break;
      case FIXED32:
        cut(message, at, 4);
        break;
      default:
        throw new Error(`protobuf: field ${number} has the unknown wire type ${key % 8}`);
    }
  }
}

/** A varint field. */
export function numberField(number: number, value: number): number[] {
  return [...digits(number * 8 + VARINT), ...digits(value)];
}

/** A field of bytes. */
export function bytesField(number: number, bytes: readonly number[]): number[] {
  return [...digits(number * 8 + DELIMITED), ...digits(bytes.length), ...bytes];
}

function varint(message: Uint8Array, at: { byte: number }): number {
  let value = 0;
  for (let scale = 1;; scale *= MORE) {
    const [byte] = cut(message, at, 1);
    value += (byte % MORE) * scale;
    if (byte < MORE) return value;
  }
}

function cut(message: Uint8Array, at: { byte: number }, length: number): Uint8Array {
  const end = at.byte + length;
  if (end > message.length) throw new Error("protobuf: the message ends inside a field");
  const bytes = message.subarray(at.byte, end);
  at.byte = end;
  return bytes;
}

function digits(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= MORE; value = Math.floor(value / MORE)) bytes.push(value % MORE + MORE);
  bytes.push(value);
  return bytes;
}
