import { extname, relative } from "node:path";
import { readCheckpoint, sha256Checkpoint, writeSafetensorsFile, type WrittenFile } from "@atlas-tv/checkpoints";
import {
  AbortedError, blockwise, encode, imageInputs, InputError, Random, readFloat32, validationTransform,
  type ComposedEncoder, type EncoderInputs,
} from "@atlas-tv/core";
import { imageFiles, readImage } from "@atlas-tv/datasets";
import type { Command } from "commander";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { countedProgress } from "../counted-progress.js";
import { count } from "../flags.js";
import { loadModel, type LoadedModel } from "../loaded-model.js";
import { assertFilePlace, refuseForeignName } from "../output-file.js";
import { pathKind } from "../path-kind.js";
import { addBackendFlags, addModelFlags, threadsOf, type ModelFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";

interface EncodeFlags extends ModelFlags {
  readonly images?: string;
  readonly out?: string;
  readonly batchSize: number;
}

/** Images that are made ready a batch at a time. */
interface Images {
  readonly length: number;
  /** What they are, for the file's metadata. */
  readonly about: Readonly<Record<string, string>>;
  inputs(from: number, to: number): Promise<EncoderInputs>;
}

const TENSOR = "images";

/** Images `(batch, 3, S, S)` as `(batch, S, S, 3)`. */
function interleaved(planar: Float32Array, batch: number, side: number): EncoderInputs {
  const pixels = side * side;
  const data = new Float32Array(planar.length);
  for (let image = 0; image < batch; image++) {
    for (let channel = 0; channel < 3; channel++) {
      const from = (image * 3 + channel) * pixels;
      for (let pixel = 0; pixel < pixels; pixel++) data[(image * pixels + pixel) * 3 + channel] = planar[from + pixel]!;
    }
  }
  return { data, shape: [batch, side, side, 3] };
}

/** The tensor `images` `(B, 3, S, S)` of a file, normalised already. */
async function tensorImages(path: string, { spec }: LoadedModel): Promise<Images> {
  const side = spec.imageSize;
  const expected = `${TENSOR} [B, 3, ${side}, ${side}], F16 or F32, normalised already`;
  const values = await readCheckpoint(path, async ({ tensors, names }) => {
    const tensor = tensors.get(TENSOR);
    if (tensor === undefined) throw new InputError({ where: path, got: `no tensor "${TENSOR}" among ${names.slice(0, 5).join(", ") || "none"}`, expected });
    const [batch = 0, channels, height, width] = tensor.shape;
    const fits = tensor.shape.length === 4 && channels === 3 && height === side && width === side && batch > 0;
    if (!fits || (tensor.dtype !== "F16" && tensor.dtype !== "F32")) {
      throw new InputError({ where: path, got: `${TENSOR} ${tensor.dtype} [${tensor.shape.join(", ")}]`, expected });
    }
    return readFloat32(tensor, TENSOR);
  });
  const stride = 3 * side * side;
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new InputError({ where: path, got: `${values[bad]!} in image ${Math.floor(bad / stride)}`, expected: "finite values" });
  return {
    length: values.length / stride,
    about: { images_sha256: await sha256Checkpoint(path) },
    inputs: (from, to) => Promise.resolve(interleaved(values.subarray(from * stride, to * stride), to - from, side)),
  };
}

/** The pictures of a folder, through CLIP's validation transform. */
async function folderImages(path: string, { spec, normalisation }: LoadedModel): Promise<Images> {
  const files = await imageFiles(path);
  if (files.length === 0) throw new InputError({ where: path, got: "no pictures", expected: "PNG or JPEG files" });
  const transform = validationTransform(spec.imageSize, normalisation);
  const unused = new Random(0);
  return {
    length: files.length,
    about: { files: JSON.stringify(files.map((file) => relative(path, file))) },
    inputs: async (from, to) => {
      const pictures = await Promise.all(files.slice(from, to).map(readImage));
      return imageInputs(pictures.map((picture) => transform.pixels(picture, unused)), normalisation);
    },
  };
}

async function features(encoder: ComposedEncoder, images: Images, flags: EncodeFlags, width: number, terminal: Terminal): Promise<Float32Array> {
  const all = new Float32Array(images.length * width);
  const progress = countedProgress("images", terminal, { quiet: flags.quiet || flags.json });
  try {
    for (let from = 0; from < images.length; from += flags.batchSize) {
      if (terminal.signal.aborted) throw new AbortedError("stopped while images were encoded");
      const to = Math.min(from + flags.batchSize, images.length);
      const batch = await encode(encoder, await images.inputs(from, to));
      all.set(await batch.data(), from * width);
      batch.dispose();
      progress.onProgress(to, images.length);
    }
    return all;
  } finally {
    progress.end();
  }
}

function required(value: string | undefined, flag: string, expected: string): string {
  if (value !== undefined) return value;
  throw new InputError({ where: "atlas encode", got: `no ${flag}`, expected });
}

function refusePicture(source: string): void {
  if (pathKind(source) !== "file" || ![".png", ".jpg", ".jpeg"].includes(extname(source).toLowerCase())) return;
  throw new InputError({
    where: `--images ${source}`,
    got: "a single picture",
    expected: "a folder of pictures, or a safetensors file that holds images",
    next: "give the folder that the picture is in",
  });
}

async function encodeImages(flags: EncodeFlags, terminal: Terminal): Promise<WrittenFile & { images: number; width: number }> {
  const source = required(flags.images, "--images", "a safetensors file that holds images, or a folder of pictures");
  const out = required(flags.out, "--out", "the .safetensors file to write");
  refusePicture(source);
  refuseForeignName(out, "a .safetensors file");
  await assertFilePlace(out);
  const backend = await activeBackend(await compositionRoot(flags.plugin), flags.backend);
  const model = await loadModel(flags);
  const isFolder = pathKind(source) === "folder";
  const images = await (isFolder ? folderImages(source, model) : tensorImages(source, model));
  const encoder = await backend.compile(model.spec, model.base, [], blockwise(), threadsOf(flags));
  try {
    const composed = await encoder.compose(encoder.initialCoefficients());
    try {
      const width = model.spec.outputWidth;
      const data = await features(composed, images, flags, width, terminal);
      const tensors = new Map([["features", { dtype: "F32" as const, shape: [images.length, width], data }]]);
      const written = await writeSafetensorsFile(out, tensors, { format: "pt", base: `${model.folder.name} ${model.baseHash}`, ...images.about });
      return { ...written, images: images.length, width };
    } finally {
      composed.dispose();
    }
  } finally {
    encoder.dispose();
  }
}

/** `atlas encode`: the features of images, not normalised. */
export function addEncode(program: Command, terminal: Terminal): void {
  const command = program.command("encode").description("compute the features of images");
  addModelFlags(command)
    .optionsGroup("Encoding:")
    .option("--images <file or dir>", "a file with the tensor images [B, 3, S, S], normalised already; or a folder of PNG and JPEG files")
    .option("--out <file>", "the .safetensors file to write: features [B, D]")
    .option("--batch-size <n>", "images a batch", count("--batch-size"), 64);
  addBackendFlags(command).action(async (flags: EncodeFlags) => {
    const result = await encodeImages(flags, terminal);
    terminal.out(
      flags.json
        ? JSON.stringify(result, null, 2)
        : `${result.path}: features [${result.images}, ${result.width}], sha256 ${result.sha256}`,
    );
  });
}
