/** Zip archives as PyTorch writes them, entry by entry. Tests build broken ones by changing what records say. */
import { deflateRawSync } from "node:zlib";

const UTF8 = 0x0800;

/** The header before an entry's data. */
export function localHeader({ name, data, packed = data, method = 0, flags = UTF8, extra = 0 }) {
  const bytes = Buffer.from(name);
  const header = Buffer.alloc(30 + bytes.length + extra);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(flags, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt32LE(packed.length, 18);
  header.writeUInt32LE(data.length, 22);
  header.writeUInt16LE(bytes.length, 26);
  header.writeUInt16LE(extra, 28);
  bytes.copy(header, 30);
  return header;
}

/** The record of an entry in the directory. */
export function record({ name, data, packed = data, method = 0, flags = UTF8, offset, size = data.length, packedSize = packed.length }) {
  const bytes = Buffer.isBuffer(name) ? name : Buffer.from(name);
  const out = Buffer.alloc(46 + bytes.length);
  out.writeUInt32LE(0x02014b50, 0);
  out.writeUInt16LE(flags, 8);
  out.writeUInt16LE(method, 10);
  out.writeUInt32LE(packedSize, 20);
  out.writeUInt32LE(size, 24);
  out.writeUInt16LE(bytes.length, 28);
  out.writeUInt32LE(offset, 42);
  bytes.copy(out, 46);
  return out;
}

/** The record at the end of an archive. */
export function endRecord({ entries, size, offset }) {
  const out = Buffer.alloc(22);
  out.writeUInt32LE(0x06054b50, 0);
  out.writeUInt16LE(entries, 8);
  out.writeUInt16LE(entries, 10);
  out.writeUInt32LE(size, 12);
  out.writeUInt32LE(offset, 16);
  return out;
}

/** Bytes of an extra field that put the data of an entry at a multiple of 64, as PyTorch does. */
export function padding(offset, name) {
  const start = offset + 30 + Buffer.byteLength(name);
  return (64 - (start % 64)) % 64;
}

/** An entry whose data is deflated. */
export function deflated(name, data) {
  return { name, data, packed: deflateRawSync(data), method: 8 };
}

/**
 * A whole archive.
 * @param entries `{ name, data }`; further fields change its header, and those of `said` only its record in the directory.
 * @param said changes to the record at the end.
 */
export function zip(entries, said = {}) {
  const parts = [];
  const records = [];
  let offset = 0;
  for (const { said: other = {}, ...entry } of entries) {
    const header = localHeader({ ...entry, extra: padding(offset, entry.name) });
    const { packed = entry.data } = entry;
    records.push(record({ ...entry, offset, ...other }));
    parts.push(header, packed);
    offset += header.length + packed.length;
  }
  const directory = Buffer.concat(records);
  return Buffer.concat([...parts, directory, endRecord({ entries: entries.length, size: directory.length, offset, ...said })]);
}
