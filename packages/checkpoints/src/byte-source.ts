import { InputError } from "@atlas-tv/core";

/** Bytes that are read by range: a file, memory, a blob, a URL. */
export interface ByteSource {
  /** In bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`, in a buffer of the caller's own. Rejects when there are fewer. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

function requireRange(size: number, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new RangeError(`bytes ${offset} to ${offset + length} of a source of ${size} bytes`);
}

/** Bytes in memory; what is read is a copy. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.byteLength,
    read(offset, length) {
      requireRange(bytes.byteLength, offset, length);
      return Promise.resolve(new Uint8Array(bytes.subarray(offset, offset + length)));
    },
  };
}

/** A file that a person picked in a browser, or any other blob. */
export function blobSource(blob: Blob): ByteSource {
  return {
    size: blob.size,
    async read(offset, length) {
      requireRange(blob.size, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}

function badResponse(url: string, response: Response, expected: string): InputError {
  return new InputError({ where: url, got: `HTTP status ${response.status}`, expected });
}

/**
 * A file behind a URL, fetched range by range. From a server that ignores ranges it is fetched whole, once.
 * @throws InputError when the server does not answer with the file.
 */
export async function urlSource(url: string, fetcher: typeof fetch = fetch): Promise<ByteSource> {
  const first = await fetcher(url, { headers: { range: "bytes=0-0" } });
  if (first.status === 200) return memorySource(new Uint8Array(await first.arrayBuffer()));
  await first.body?.cancel();
  const total = first.status === 206 ? /\/(\d+)$/.exec(first.headers.get("content-range") ?? "")?.[1] : undefined;
  // A server answers 416 to any range of an empty file.
  if (first.status === 416) return memorySource(new Uint8Array(0));
  if (total === undefined) throw badResponse(url, first, "status 206 with the size of the file, or 200 with the file");
  const size = Number(total);
  return {
    size,
    async read(offset, length) {
      requireRange(size, offset, length);
      if (length === 0) return new Uint8Array(0);
      const response = await fetcher(url, { headers: { range: `bytes=${offset}-${offset + length - 1}` } });
      if (response.status !== 206) {
        await response.body?.cancel();
        throw badResponse(url, response, `status 206 with bytes ${offset} to ${offset + length - 1}`);
      }
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (bytes.byteLength === length) return bytes;
      throw new InputError({ where: url, got: `${bytes.byteLength} bytes`, expected: `the ${length} bytes asked for` });
    },
  };
}
