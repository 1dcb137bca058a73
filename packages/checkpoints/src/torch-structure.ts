/**
 * Finds the tensors in what a pickle of PyTorch's describes: a tensor, dicts and lists of tensors, or a whole module,
 * whose tensors get the names that its state dict would give them.
 */
import { PickleGlobal, PickleRecord, type PickleMap, type PickleValue } from "./pickle-values.js";
import { TorchError, type TorchFault } from "./torch-error.js";
import { torchTensor, type TorchTensor } from "./torch-tensors.js";

/** Modules of CLIP lie 8 deep; training states of other tools put a few dicts around them. */
const MAX_DEPTH = 64;

/** A ViT-L/14 with its optimiser has 2,000 tensors. Dicts that share their parts can spell out any number from a few bytes. */
const MAX_TENSORS = 100_000;

/** Values that are looked at, tensors or not. */
const MAX_VISITS = 1_000_000;

const MAX_NAME_LENGTH = 1_000;

/** Plain values beside the tensors are kept up to this length. */
const MAX_TEXT = 1_000;

/** What a bare tensor is called. */
const BARE = "tensor";

/** CLIP's causal mask. TorchScript does not say that no state dict holds it. */
const MASK = "attn_mask";

const DAMAGED = "the file is damaged: get it again, or save it again";

/** What a whole module says about its architecture beyond the shapes of its tensors. */
export interface ModuleFacts {
  /** `module.name` of its class. */
  readonly className: string;
  /** Number of attention heads of the first attention in the module that `visual` names, and of the first in the rest. */
  readonly heads: { readonly visual: number | null; readonly text: number | null };
  /** Whether its activation is QuickGELU; null when it is not known. */
  readonly quickGelu: boolean | null;
}

/** What a pickle of PyTorch's holds. */
export interface TorchContent {
  readonly kind: "tensor" | "dict" | "module" | "script";
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** Texts, numbers and truth values that lie beside the tensors of a dict, by name. */
  readonly values: Readonly<Record<string, string>>;
  /** Of a whole module; null for anything else. */
  readonly module: ModuleFacts | null;
}

function text(value: PickleValue | undefined): string | null {
  return typeof value === "string" ? value : null;
}

function get(record: PickleRecord, name: string): PickleValue | undefined {
  return record.state instanceof Map ? record.state.get(name) : undefined;
}

/** A module of `torch.nn`: its state holds its parameters, buffers and modules. */
function isModule(value: PickleValue): value is PickleRecord {
  return value instanceof PickleRecord && get(value, "_parameters") instanceof Map && get(value, "_modules") instanceof Map;
}

/** An object of a TorchScript archive: its state holds its tensors and modules as attributes. */
function isScript(value: PickleValue): value is PickleRecord {
  return value instanceof PickleRecord && value.state instanceof Map && /^__torch__\./.test(value.path ?? "");
}

/** The texts of a set. */
function members(value: PickleValue | undefined): ReadonlySet<string> {
  const items = value instanceof PickleRecord ? value.args[0] : value;
  return new Set(Array.isArray(items) ? items.filter((item) => typeof item === "string") : []);
}

class TensorFinder {
  readonly tensors = new Map<string, TorchTensor>();
  readonly values = new Map<string, string>();
  heads: { visual: number | null; text: number | null } = { visual: null, text: null };
  quickGelu: boolean | null = null;
  readonly #path = new Set<PickleValue>();
  #visits = 0;

  constructor(readonly where: string) {}

  #fail(fault: TorchFault, name: string, got: string, expected: string): TorchError {
    return new TorchError(fault, { where: `${this.where}: "${name.slice(0, 80)}"`, got, expected, next: DAMAGED });
  }

  /** Looks at what lies inside a container, which must not be inside itself. */
  #enter(value: PickleValue, name: string, look: () => void): void {
    if (this.#path.has(value)) throw this.#fail("cycle", name, "a dict, list or module that contains itself", "tensors in dicts and modules");
    if (this.#path.size >= MAX_DEPTH) throw this.#fail("over-limit", name, `more than ${MAX_DEPTH} dicts, lists and modules inside each other`, `at most ${MAX_DEPTH}`);
    this.#path.add(value);
    look();
    this.#path.delete(value);
  }

  #add(name: string, tensor: TorchTensor): void {
    if (this.tensors.has(name)) throw this.#fail("duplicate-name", name, "two tensors with this name", "one");
    if (this.tensors.size >= MAX_TENSORS) throw this.#fail("over-limit", name, `more than ${MAX_TENSORS} tensors`, `at most ${MAX_TENSORS}`);
    this.tensors.set(name, tensor);
  }

  #join(prefix: string, key: PickleValue): string | null {
    if (typeof key !== "string" && typeof key !== "number") return null;
    const name = prefix === "" ? String(key) : `${prefix}.${key}`;
    if (name.length > MAX_NAME_LENGTH) throw this.#fail("over-limit", name, `a name of ${name.length} characters`, `at most ${MAX_NAME_LENGTH}`);
    return name;
  }

  #each(entries: Iterable<[PickleValue, PickleValue]>, prefix: string, look: (value: PickleValue, name: string) => void): void {
    for (const [key, value] of entries) {
      if (++this.#visits > MAX_VISITS) throw this.#fail("over-limit", prefix, `more than ${MAX_VISITS} values`, `at most ${MAX_VISITS}`);
      const name = this.#join(prefix, key);
      if (name !== null) look(value, name);
    }
  }

  /** Adds the tensors of any value under a name. @returns whether it is itself a tensor. */
  value(value: PickleValue, name: string): void {
    const tensor = torchTensor(value, `${this.where}: tensor "${(name === "" ? BARE : name).slice(0, 80)}"`);
    if (tensor !== null) this.#add(name === "" ? BARE : name, tensor);
    else if (isModule(value)) this.module(value, name);
    else if (isScript(value)) this.script(value, name);
    else if (value instanceof Map) this.#enter(value, name, () => { this.#each(value, name, (item, at) => { this.value(item, at); }); });
    else if (Array.isArray(value)) this.#enter(value, name, () => { this.#each(value.entries(), name, (item, at) => { this.value(item, at); }); });
    else if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") this.#text(name, String(value));
  }

  #text(name: string, value: string): void {
    if (name !== "" && value.length <= MAX_TEXT && this.values.size < MAX_TENSORS) this.values.set(name, value);
  }

  /** What the classes of a module's parts say about the architecture. */
  #note(record: PickleRecord, name: string): void {
    const own = record.path?.split(".").at(-1);
    if (own === "QuickGELU") this.quickGelu = true;
    else if (own === "GELU" && this.quickGelu === null) this.quickGelu = false;
    const heads = get(record, "num_heads");
    const tower = /(^|\.)visual\./.test(name) ? "visual" : "text";
    if (typeof heads === "number" && own === "MultiheadAttention") this.heads[tower] ??= heads;
  }

  /** Parameters, lasting buffers, then the modules inside: the order of a state dict. */
  module(record: PickleRecord, name: string): void {
    this.#note(record, name);
    const lasting = members(get(record, "_non_persistent_buffers_set"));
    const part = (attribute: string): PickleMap => {
      const found = get(record, attribute);
      return found instanceof Map ? found : new Map();
    };
    const tensor = (value: PickleValue, at: string): void => {
      const found = torchTensor(value, `${this.where}: tensor "${at.slice(0, 80)}"`);
      if (found !== null) this.#add(at, found);
    };
    this.#enter(record, name, () => {
      this.#each(part("_parameters"), name, tensor);
      this.#each([...part("_buffers")].filter(([key]) => !lasting.has(text(key) ?? "")), name, tensor);
      this.#each(part("_modules"), name, (value, at) => { if (isModule(value)) this.module(value, at); });
    });
  }

  script(record: PickleRecord, name: string): void {
    this.#note(record, name);
    const attributes = record.state as PickleMap;
    this.#enter(record, name, () => {
      this.#each(attributes, name, (value, at) => {
        if (at === MASK || at.endsWith(`.${MASK}`)) return;
        if (isScript(value)) this.script(value, at);
        const found = torchTensor(value, `${this.where}: tensor "${at.slice(0, 80)}"`);
        if (found !== null) this.#add(at, found);
      });
    });
  }
}

function kindOf(root: PickleValue): TorchContent["kind"] {
  if (isModule(root)) return "module";
  if (isScript(root)) return "script";
  return root instanceof PickleRecord ? "tensor" : "dict";
}

/** What a pickle without tensors is, for the message. */
function described(root: PickleValue): string {
  if (root instanceof PickleRecord) return root.path === null ? "an object" : `an object of class ${root.path.slice(0, 80)}`;
  if (root instanceof PickleGlobal) return `the name ${root.path.slice(0, 80)}`;
  if (root instanceof Map) return `a dict of ${root.size} entries`;
  return Array.isArray(root) ? `a list of ${root.length} items` : "a plain value";
}

/**
 * Finds the tensors of what a file of PyTorch's holds. Dicts and lists are flattened, their keys joined by dots.
 * @param where name of the file, for messages.
 * @throws TorchError when a tensor cannot be right, or there is none.
 */
export function torchContent(root: PickleValue, where: string): TorchContent {
  const finder = new TensorFinder(where);
  finder.value(root, "");
  if (finder.tensors.size === 0) {
    throw new TorchError("no-tensors", {
      where,
      got: `${described(root)} that PyTorch saved, without any tensor`,
      expected: "a tensor, a dict of tensors, or a module",
      next: "give the file that holds the weights",
    });
  }
  const kind = kindOf(root);
  const { heads, quickGelu } = finder;
  const isWhole = (kind === "module" || kind === "script") && root instanceof PickleRecord;
  return {
    kind,
    tensors: finder.tensors,
    values: Object.fromEntries(finder.values),
    module: isWhole ? { className: root.path ?? "", heads, quickGelu } : null,
  };
}
