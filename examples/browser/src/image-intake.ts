/** Images out of what a person drops or pastes. */

/** An image and the names of the folders it lay in, outermost first. */
export interface FoundImage {
  readonly blob: Blob;
  readonly name: string;
  readonly folders: readonly string[];
}

/** Files that systems leave in folders. */
const LEFT_BY_SYSTEMS = /^(\.|thumbs\.db$|desktop\.ini$)/i;

function readEntries(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  return new Promise((resolve, reject) => {
    // A reader gives its entries in portions, the last one empty.
    const next = (): void => reader.readEntries((some) => {
      if (some.length === 0) return resolve(all);
      all.push(...some);
      next();
    }, reject);
    next();
  });
}

async function imagesIn(entry: FileSystemEntry, folders: readonly string[]): Promise<FoundImage[]> {
  if (LEFT_BY_SYSTEMS.test(entry.name)) return [];
  if (entry.isDirectory) {
    const entries = await readEntries(entry as FileSystemDirectoryEntry);
    const found = await Promise.all(entries.map((inner) => imagesIn(inner, [...folders, entry.name])));
    return found.flat();
  }
  const blob = await new Promise<File>((resolve, reject) => { (entry as FileSystemFileEntry).file(resolve, reject); });
  return [{ blob, name: entry.name, folders }];
}

/** Files and folders that were dropped. To be called within the event. */
export async function droppedImages(transfer: DataTransfer): Promise<FoundImage[]> {
  const entries = [...transfer.items].map((item) => (item.kind === "file" ? item.webkitGetAsEntry() : null));
  // A program may drop files that no file system knows.
  const files = [...transfer.files];
  if (entries.every((entry) => entry === null)) return files.map((blob) => ({ blob, name: blob.name, folders: [] }));
  const found = await Promise.all(entries.flatMap((entry) => (entry === null ? [] : [imagesIn(entry, [])])));
  return found.flat();
}

/** Images of a clipboard; empty when it holds something else. */
export function pastedImages(clipboard: DataTransfer | null): FoundImage[] {
  const files = clipboard === null ? [] : [...clipboard.files];
  return files.map((blob) => ({ blob, name: blob.name || "pasted image", folders: [] }));
}

/** Files of an `<input type="file">`, with their folders where a folder was picked. */
export function pickedImages(files: FileList | null): FoundImage[] {
  return [...(files ?? [])]
    .map((blob) => ({ blob, name: blob.name, folders: blob.webkitRelativePath.split("/").slice(0, -1) }))
    .filter(({ name }) => !LEFT_BY_SYSTEMS.test(name));
}

/** What a folder's place says about an image: its class, and whether it is a test image. Null outside a class folder. */
export function placeOf(folders: readonly string[]): { readonly className: string; readonly use: "learning" | "checking" | null } | null {
  const below = folders.slice(1);
  const divided = below[0] === "train" || below[0] === "test";
  const folder = divided ? below[1] : below[0];
  if (folder === undefined) return null;
  return { className: folder.replaceAll("_", " "), use: divided ? (below[0] === "train" ? "learning" : "checking") : null };
}

/** Calls back with what is dropped on an element, and marks it while something hovers over it. */
export function onDrop(target: HTMLElement, take: (images: Promise<FoundImage[]>) => void): void {
  target.addEventListener("dragover", (event) => {
    event.preventDefault();
    target.classList.add("hovered");
  });
  target.addEventListener("dragleave", () => { target.classList.remove("hovered"); });
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    target.classList.remove("hovered");
    if (event.dataTransfer !== null) take(droppedImages(event.dataTransfer));
  });
}
