/** Files built byte by byte, right and wrong ones. */
export function rawFile(header: string | Uint8Array | object, data: Uint8Array | number = 0, headerLength?: number | bigint): Uint8Array {
  const json = header instanceof Uint8Array ? header : new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const body = typeof data === "number" ? new Uint8Array(data) : data;
  const file = new Uint8Array(8 + json.byteLength + body.byteLength);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerLength ?? json.byteLength), true);
  file.set(json, 8);
  file.set(body, 8 + json.byteLength);
  return file;
}

/** One tensor's entry in a header. */
export function entry(dtype: string, shape: readonly unknown[], begin: number, end: number): object {
  return { dtype, shape, data_offsets: [begin, end] };
}

/** All chunks of a writer as one array. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk.slice());
  return new Uint8Array(Buffer.concat(parts));
}
