/** Pieces of pickles as PyTorch writes them, to be put together. Tests build broken ones from the same pieces. */

const opcode = (text) => Buffer.from(text, "latin1");

/** Puts pieces together: buffers, and opcodes as text. */
export const join = (...pieces) => Buffer.concat(pieces.flat(Infinity).map((piece) => (typeof piece === "string" ? opcode(piece) : piece)));

export const pickle = (...pieces) => join("\x80\x02", ...pieces, ".");

export function text(value) {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return join("X", length, bytes);
}

export function integer(value) {
  if (Number.isInteger(value) && value >= 0 && value < 256) return join("K", Buffer.of(value));
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return join("\x8a\x08", bytes);
}

export const named = (module, name) => join(`c${module}\n${name}\n`);

export const tuple = (...items) => join("(", ...items, "t");

/** @param entries keys as text, values as pieces. */
export const dict = (entries) => join("}(", ...entries.map(([key, value]) => [text(key), value]), "u");

export const orderedDict = (entries) => join(named("collections", "OrderedDict"), ")R(", ...entries.map(([key, value]) => [text(key), value]), "u");

/** A reference to a storage; `legacy` adds the view that old files note. */
export const storage = (key, length, { type = "FloatStorage", legacy = false } = {}) =>
  join(tuple(text("storage"), named("torch", type), text(key), text("cpu"), typeof length === "number" ? integer(length) : length, ...(legacy ? ["N"] : [])), "Q");

const whole = (numbers) => (Buffer.isBuffer(numbers) ? numbers : tuple(...numbers.map(integer)));

/** A tensor in a storage; shape and strides are numbers or pieces. */
export const tensor = (from, shape, strides, offset = 0) =>
  join(
    named("torch._utils", "_rebuild_tensor_v2"),
    tuple(from, Buffer.isBuffer(offset) ? offset : integer(offset), whole(shape), whole(strides), "\x89", named("collections", "OrderedDict"), ")R"),
    "R",
  );

/** Strides of a tensor in row-major order. */
export const rowMajor = (shape) => shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));

/** A module of `torch.nn`, whose parts are given by name. */
export const module = (path, { parameters = [], modules = [], more = [] }) => {
  const at = path.lastIndexOf(".");
  return join(
    named(path.slice(0, at), path.slice(at + 1)), ")\x81",
    dict([["_parameters", orderedDict(parameters)], ["_buffers", orderedDict([])], ["_modules", orderedDict(modules)], ...more]), "b",
  );
};
