/** What a picture is for: to learn from, or to measure accuracy on. */
export type Use = "learning" | "checking";

/** How newly added pictures are used: as one of the two, or every fourth of a class for checking. */
export type UseRule = Use | "automatic";

const CHECKED_SHARE = 4;

/** One image of a class. */
export interface Picture {
  readonly id: number;
  /** Of the file it came from, for messages. */
  readonly name: string;
  readonly blob: Blob;
  readonly use: Use;
}

export interface PictureClass {
  readonly id: number;
  readonly name: string;
  readonly pictures: readonly Picture[];
}

/** A picture and the index of its class, as learning takes it. */
export interface LabelledPicture {
  readonly name: string;
  readonly blob: Blob;
  readonly label: number;
}

interface NamedBlob {
  readonly name: string;
  readonly blob: Blob;
}

/** A class and what its pictures are for, as `replace` takes it. */
export interface FilledClass {
  readonly name: string;
  readonly learning: readonly NamedBlob[];
  readonly checking: readonly NamedBlob[];
}

type Change = () => void;

/** The classes a person has made and the pictures in them. Knows nothing of the page. */
export class PictureSet {
  #classes: readonly PictureClass[] = [];
  #nextId = 1;
  readonly #watchers = new Set<Change>();

  get classes(): readonly PictureClass[] {
    return this.#classes;
  }

  get classNames(): readonly string[] {
    return this.#classes.map(({ name }) => name.trim());
  }

  onChange(watcher: Change): void {
    this.#watchers.add(watcher);
  }

  addClass(name = ""): PictureClass {
    const added = { id: this.#nextId++, name, pictures: [] };
    this.#set([...this.#classes, added]);
    return added;
  }

  /** The class of that name, made where there is none. */
  classNamed(name: string): PictureClass {
    return this.#classes.find((own) => own.name.trim() === name) ?? this.addClass(name);
  }

  renameClass(id: number, name: string): void {
    this.#set(this.#classes.map((own) => (own.id === id ? { ...own, name } : own)));
  }

  removeClass(id: number): void {
    this.#set(this.#classes.filter((own) => own.id !== id));
  }

  /** Puts these classes in the place of all others, in one change. */
  replace(classes: readonly FilledClass[]): void {
    this.#set(classes.map(({ name, learning, checking }) => {
      const pictures = (images: readonly NamedBlob[], use: Use): Picture[] => images.map((image) => ({ id: this.#nextId++, ...image, use }));
      return { id: this.#nextId++, name, pictures: [...pictures(learning, "learning"), ...pictures(checking, "checking")] };
    }));
  }

  /** Adds images in their order; with "automatic" every fourth of a class is for checking. */
  add(classId: number, images: readonly NamedBlob[], rule: UseRule): void {
    this.#change(classId, (pictures) => [...pictures, ...images.map(({ blob, name }, at): Picture => {
      const automatic = (pictures.length + at + 1) % CHECKED_SHARE === 0 ? "checking" : "learning";
      return { id: this.#nextId++, name, blob, use: rule === "automatic" ? automatic : rule };
    })]);
  }

  toggleUse(classId: number, pictureId: number): void {
    this.#change(classId, (pictures) => pictures.map((picture): Picture => {
      return picture.id === pictureId ? { ...picture, use: picture.use === "learning" ? "checking" : "learning" } : picture;
    }));
  }

  remove(classId: number, pictureId: number): void {
    this.#change(classId, (pictures) => pictures.filter(({ id }) => id !== pictureId));
  }

  /** Pictures of one use, in the order of classes. */
  labelled(use: Use): LabelledPicture[] {
    return this.#classes.flatMap(({ pictures }, label) =>
      pictures.filter((picture) => picture.use === use).map(({ name, blob }) => ({ name, blob, label })));
  }

  /** What must be done before there is something to learn, one sentence each; empty when all is there. */
  problems(): string[] {
    const problems: string[] = [];
    if (this.#classes.length < 2) problems.push("Make at least two classes.");
    const names = this.classNames;
    if (names.includes("")) problems.push("Give every class a name.");
    const twice = names.find((name, at) => name !== "" && names.indexOf(name) < at);
    if (twice !== undefined) problems.push(`Two classes are called “${twice}”: rename or remove one.`);
    this.#classes.forEach(({ name, pictures }, at) => {
      const title = name.trim() === "" ? String(at + 1) : `“${name.trim()}”`;
      if (!pictures.some(({ use }) => use === "learning")) problems.push(`Class ${title} has no image to learn from: add one.`);
    });
    return problems;
  }

  #change(classId: number, rule: (pictures: readonly Picture[]) => readonly Picture[]): void {
    this.#set(this.#classes.map((own) => (own.id === classId ? { ...own, pictures: rule(own.pictures) } : own)));
  }

  #set(classes: readonly PictureClass[]): void {
    this.#classes = classes;
    for (const watcher of this.#watchers) watcher();
  }
}
