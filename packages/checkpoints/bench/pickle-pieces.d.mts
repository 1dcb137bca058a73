/** A piece of a pickle, or opcodes as text. */
type Piece = Uint8Array | string | readonly Piece[];
type Entries = readonly (readonly [string, Piece])[];

export function join(...pieces: Piece[]): Buffer;
export function pickle(...pieces: Piece[]): Buffer;
export function text(value: string): Buffer;
export function integer(value: number | bigint): Buffer;
export function named(module: string, name: string): Buffer;
export function tuple(...items: Piece[]): Buffer;
export function dict(entries: Entries): Buffer;
export function orderedDict(entries: Entries): Buffer;
export function storage(key: string, length: number | Buffer, options?: { type?: string; legacy?: boolean }): Buffer;
export function tensor(from: Piece, shape: readonly number[] | Buffer, strides: readonly number[] | Buffer, offset?: number | Buffer): Buffer;
export function rowMajor(shape: readonly number[]): number[];
export function module(path: string, parts: { parameters?: Entries; modules?: Entries; more?: Entries }): Buffer;
