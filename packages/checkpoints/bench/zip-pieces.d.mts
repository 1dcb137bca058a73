/** What the directory says of an entry. */
interface RecordFields {
  readonly name?: string | Buffer;
  readonly method?: number;
  readonly flags?: number;
  readonly offset?: number;
  readonly size?: number;
  readonly packedSize?: number;
}

export interface ZipPart {
  readonly name: string;
  readonly data: Buffer;
  /** As it lies in the file. Default `data`. */
  readonly packed?: Buffer;
  readonly method?: number;
  readonly flags?: number;
  readonly said?: RecordFields;
}

export function localHeader(entry: ZipPart & { readonly extra?: number }): Buffer;
export function record(entry: Omit<ZipPart, "name"> & RecordFields): Buffer;
export function endRecord(fields: { entries: number; size: number; offset: number }): Buffer;
export function padding(offset: number, name: string): number;
export function deflated(name: string, data: Buffer): ZipPart;
export function zip(entries: readonly ZipPart[], said?: { entries?: number; size?: number; offset?: number }): Buffer;
