import { PickleError } from "./pickle-error.js";

/** Longer integers are no sizes, offsets or counts; making numbers of them takes time that grows with their square. */
const MAX_INTEGER_BYTES = 128;

/** A line of the oldest protocol holds a name or a number. */
const MAX_LINE_BYTES = 65_536;

const NEWLINE = 0x0a;

const DAMAGED = "the file is damaged or incomplete: get it again, or save it again";

/** Takes the parts of a pickle from its bytes, one after another. */
export class PickleBytes {
  readonly #view: DataView;
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(readonly bytes: Uint8Array, readonly where: string, public position: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves past `length` bytes and returns where they begin. */
  #pass(length: number): number {
    const start = this.position;
    if (length > this.bytes.byteLength - start) throw this.#truncated(`${length} bytes from byte ${start}`);
    this.position = start + length;
    return start;
  }

  #truncated(expected: string): PickleError {
    const got = `the end of the pickle after ${this.bytes.byteLength} bytes`;
    return new PickleError("truncated", { where: this.where, got, expected, next: DAMAGED });
  }

  uint8(): number {
    return this.bytes[this.#pass(1)]!;
  }

  uint16(): number {
    return this.#view.getUint16(this.#pass(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#pass(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#pass(4), true);
  }

  /** A length of eight bytes; one beyond 2⁵³ is past any end. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#pass(8), true));
  }

  /** Big-endian, as the operation BINFLOAT has it. */
  float64(): number {
    return this.#view.getFloat64(this.#pass(8), false);
  }

  take(length: number): Uint8Array {
    const start = this.#pass(length);
    return this.bytes.subarray(start, start + length);
  }

  /** A text in UTF-8. @throws PickleError not-utf8 */
  utf8(length: number): string {
    return this.#decode(this.take(length));
  }

  /** A byte string of Python 2, byte by byte. */
  latin1(length: number): string {
    return Array.from(this.take(length), (byte) => String.fromCharCode(byte)).join("");
  }

  /** The text up to the next line break, which is passed over. */
  line(): string {
    const end = this.bytes.indexOf(NEWLINE, this.position);
    if (end < 0) throw this.#truncated(`a line break after byte ${this.position}`);
    if (end - this.position > MAX_LINE_BYTES) throw this.#overLimit(`a line of ${end - this.position} bytes`, `at most ${MAX_LINE_BYTES}`);
    const text = this.#decode(this.bytes.subarray(this.position, end));
    this.position = end + 1;
    return text;
  }

  /** A little-endian two's complement integer: a number where that is exact. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) throw this.#overLimit(`an integer of ${length} bytes`, `at most ${MAX_INTEGER_BYTES}`);
    const bytes = this.take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    if (length > 0 && bytes[length - 1]! >= 0x80) value -= 1n << BigInt(8 * length);
    return plainNumber(value);
  }

  /** An integer written in digits. @throws PickleError bad-number */
  digits(text: string): number | bigint {
    if (!/^[+-]?\d{1,300}$/.test(text)) {
      throw new PickleError("bad-number", { where: this.where, got: `"${text.slice(0, 40)}" for an integer`, expected: "digits", next: DAMAGED });
    }
    return plainNumber(BigInt(text.replace(/^\+/, "")));
  }

  #decode(bytes: Uint8Array): string {
    try {
      return this.#utf8.decode(bytes);
    } catch (cause) {
      const facts = { where: this.where, got: `a text before byte ${this.position} that is not UTF-8`, expected: "UTF-8", next: DAMAGED };
      throw new PickleError("not-utf8", facts, { cause });
    }
  }

  #overLimit(got: string, expected: string): PickleError {
    return new PickleError("over-limit", { where: this.where, got, expected, next: DAMAGED });
  }
}

function plainNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
