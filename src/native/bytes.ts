import { RlkitError } from "../errors.ts";

/** Builds little-endian binary data with length-prefixed strings, the form that every C function and the control socket take. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(512);
  #length = 0;

  #reserve(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(this.#length * 2);
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    return at;
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  i32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeInt32LE(value, at);
    return this;
  }

  u64(value: number): this {
    const at = this.#reserve(8);
    this.#buffer.writeBigUInt64LE(BigInt(value), at);
    return this;
  }

  /** A string in UTF-8. NUL is refused here: C would silently see a shorter one. */
  str(value: string): this {
    if (value.includes("\0")) throw new RlkitError("USAGE", `${JSON.stringify(value)} contains a NUL byte`);
    const bytes = Buffer.byteLength(value);
    this.u32(bytes);
    const at = this.#reserve(bytes);
    this.#buffer.write(value, at, "utf8");
    return this;
  }

  /** Any bytes, with their length before them. */
  bytes(value: Buffer): this {
    this.u32(value.length);
    const at = this.#reserve(value.length);
    value.copy(this.#buffer, at);
    return this;
  }

  strs(values: readonly string[]): this {
    this.u16(values.length);
    for (const value of values) this.str(value);
    return this;
  }

  /** What was written. The buffer is the writer's own: don't write on after this. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** A path as C takes it: UTF-8, ended by NUL. */
export function cPath(path: string): Buffer {
  if (path.includes("\0")) throw new RlkitError("USAGE", `${JSON.stringify(path)} contains a NUL byte`);
  return Buffer.from(`${path}\0`);
}
