import { blobSource, type ModelFiles } from "@atlas-tv/checkpoints";
import { InputError } from "@atlas-tv/core";
import { z } from "zod";
import { TOKENIZER, VOCABULARY } from "./text-side.js";

/** Where a model lies: a folder that was picked, or the address of one. */
export type ModelLocation =
  | { readonly kind: "folder"; readonly files: readonly File[] }
  | { readonly kind: "url"; readonly url: string };

const CONFIG_FILE = "open_clip_config.json";
const MANIFEST = "manifest.json";

/** A web server lists no files: the manifest does, each with its hash. */
const manifestSchema = z.looseObject({ sha256: z.record(z.string(), z.string()) });

/** Files that are no weights: a manifest may leave them out, and a model may be without some. */
const BESIDE = [CONFIG_FILE, VOCABULARY, TOKENIZER];

/** The one folder among picked files that holds a model: what was picked, or a folder in it. */
function modelRoot(paths: readonly string[]): string {
  const roots = paths.filter((path) => path.endsWith(`/${CONFIG_FILE}`)).map((path) => path.slice(0, -CONFIG_FILE.length));
  if (roots.length === 1) return roots[0]!;
  const where = paths[0]?.split("/")[0] ?? "the folder";
  throw new InputError({
    where,
    got: roots.length === 0 ? `no ${CONFIG_FILE}` : `${roots.length} models: ${roots.join(", ")}`,
    expected: "the folder of one model",
    next: roots.length === 0 ? "README.md of @atlas-tv/cli describes a model folder" : "pick one of them",
  });
}

function pickedFiles(files: readonly File[]): ModelFiles {
  const root = modelRoot(files.map((file) => file.webkitRelativePath));
  const inside = new Map(files
    .filter((file) => file.webkitRelativePath.startsWith(root))
    .map((file) => [file.webkitRelativePath.slice(root.length), file]));
  return {
    name: root.split("/").at(-2)!,
    paths: [...inside.keys()],
    open: (path) => {
      const file = inside.get(path);
      if (file === undefined) throw new InputError({ where: path, got: "no such file", expected: `one of ${[...inside.keys()].join(", ")}` });
      return Promise.resolve(blobSource(file));
    },
  };
}

async function download(url: URL, expected: string): Promise<Blob> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    const next = "check the address; another site must allow this page to read it (Access-Control-Allow-Origin)";
    throw new InputError({ where: url.href, got: "no answer", expected, next }, { cause });
  }
  if (!response.ok) throw new InputError({ where: url.href, got: `HTTP status ${response.status}`, expected });
  return response.blob();
}

function folderUrl(text: string): URL {
  try {
    return new URL(text.endsWith("/") ? text : `${text}/`);
  } catch (cause) {
    throw new InputError({ where: "address of the model", got: text, expected: "a full address, such as https://example.org/models/my-clip" }, { cause });
  }
}

async function listedFiles(text: string): Promise<ModelFiles> {
  const folder = folderUrl(text);
  const at = new URL(MANIFEST, folder);
  const expected = `a ${MANIFEST} that lists the model's files: { "sha256": { "zeroshot.safetensors": "…", … } }`;
  const listing = await (await download(at, expected)).text();
  let manifest: z.output<typeof manifestSchema>;
  try {
    manifest = manifestSchema.parse(JSON.parse(listing));
  } catch (cause) {
    throw new InputError({ where: at.href, got: "something else", expected }, { cause });
  }
  const kept = new Map<string, Promise<Blob>>();
  const fetched = (path: string): Promise<Blob> => {
    const known = kept.get(path) ?? download(new URL(path, folder), "a file of the model");
    kept.set(path, known);
    return known;
  };
  const beside = await Promise.all(BESIDE.map((path) => fetched(path).then(() => [path], () => [])));
  return {
    name: folder.pathname.split("/").at(-2) || folder.host,
    paths: [...new Set([...Object.keys(manifest.sha256), ...beside.flat()])],
    open: async (path) => blobSource(await fetched(path)),
  };
}

/** The files of a model. @throws InputError when there is none at that place. */
export async function locateModel(location: ModelLocation): Promise<ModelFiles> {
  return location.kind === "folder" ? pickedFiles(location.files) : listedFiles(location.url);
}
