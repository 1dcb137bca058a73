/** A free buffer serves a request that fills at least this share of it. */
const LEAST_FILL = 0.6;

/**
 * Float32 memory that is used again: activations and gradients of one step serve the next, so that steps allocate
 * nothing new. What was taken holds old values.
 */
export class BufferPool {
  readonly #free: ArrayBuffer[] = [];
  #bytes = 0;

  /** All memory that the pool ever made and still knows, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  take(length: number): Float32Array {
    const bytes = length * Float32Array.BYTES_PER_ELEMENT;
    let best = -1;
    this.#free.forEach(({ byteLength }, index) => {
      if (byteLength < bytes || byteLength * LEAST_FILL > bytes) return;
      if (best < 0 || byteLength < this.#free[best]!.byteLength) best = index;
    });
    if (best >= 0) return new Float32Array(this.#free.splice(best, 1)[0]!, 0, length);
    this.#bytes += bytes;
    return new Float32Array(length);
  }

  /** Gives memory back that was taken, and that nobody reads any more. */
  give(array: Float32Array): void {
    this.#free.push(array.buffer as ArrayBuffer);
  }

  clear(): void {
    this.#free.length = 0;
    this.#bytes = 0;
  }
}
