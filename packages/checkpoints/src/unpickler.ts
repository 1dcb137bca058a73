/**
 * Reads Python pickles as data. The operations are those of protocols 0 to 5 (Python's `pickletools` describes each);
 * the ones that name, make or call something leave a record of it on the stack and do nothing else.
 */
import { isForbidden } from "./forbidden-globals.js";
import { PickleBytes } from "./pickle-bytes.js";
import { PickleError, type PickleFault } from "./pickle-error.js";
import { PersistentReference, PickleGlobal, PickleRecord, type PickleMap, type PickleValue } from "./pickle-values.js";

/** A pickle of a whole ViT-L/14 with its optimiser takes 100,000 operations; a list of all of ImageNet's indices 1.3 million. */
const MAX_OPERATIONS = 1_500_000;

/**
 * Tuples, lists, dicts and records: a ViT-L/14 with its optimiser has 20,000. An empty dict takes about 200 bytes of memory
 * for one byte of pickle.
 */
const MAX_CONTAINERS = 150_000;

const DAMAGED = "the file is damaged: get it again, or save it again";

/** Calls that mean a dict: of no argument, or of a list of pairs. */
const DICTS: ReadonlySet<string> = new Set(["collections.OrderedDict", "collections.defaultdict"]);

/** Old files refer to the class of a module together with its source code; the class is all that is kept. */
const BY_SOURCE = "module";

/** A pickle that was read. */
export interface ReadPickle {
  readonly value: PickleValue;
  /** The position after it. */
  readonly end: number;
  /** All that it refers to beside itself, in order. */
  readonly references: readonly PersistentReference[];
}

class Unpickler {
  readonly #stack: PickleValue[] = [];
  /** Heights of the stack at its open marks. */
  readonly #marks: number[] = [];
  readonly #memo: PickleValue[] = [];
  readonly #references: PersistentReference[] = [];
  readonly #in: PickleBytes;
  #containers = 0;

  constructor(bytes: Uint8Array, where: string, start: number) {
    this.#in = new PickleBytes(bytes, where, start);
  }

  run(): ReadPickle {
    for (let count = 0; count < MAX_OPERATIONS; count++) {
      if (this.#step(this.#in.uint8())) return { value: this.#pop(), end: this.#in.position, references: this.#references };
    }
    throw this.#error("over-limit", `more than ${MAX_OPERATIONS} operations`, `at most ${MAX_OPERATIONS}`);
  }

  #error(fault: PickleFault, got: string, expected: string, next = DAMAGED): PickleError {
    return new PickleError(fault, { where: this.#in.where, got, expected, next });
  }

  #pop(): PickleValue {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) throw this.#error("bad-stack", "an operation on an empty stack", "something to work on");
    return this.#stack.pop()!;
  }

  #top(): PickleValue {
    const value = this.#pop();
    this.#stack.push(value);
    return value;
  }

  /** What was pushed since the last mark. */
  #sinceMark(): PickleValue[] {
    const height = this.#marks.pop();
    if (height === undefined) throw this.#error("bad-stack", "an operation that needs a mark, and none is set", "a mark");
    return this.#stack.splice(height);
  }

  /** Counts one more container. */
  #container<T extends PickleValue>(value: T): T {
    if (++this.#containers > MAX_CONTAINERS) {
      throw this.#error("over-limit", `more than ${MAX_CONTAINERS} tuples, lists, dicts and objects`, `at most ${MAX_CONTAINERS}`);
    }
    return value;
  }

  #pushContainer(value: PickleValue): void {
    this.#stack.push(this.#container(value));
  }

  #tuple(length: number): void {
    const items: PickleValue[] = [];
    for (let i = 0; i < length; i++) items.push(this.#pop());
    this.#pushContainer(items.reverse());
  }

  #memoise(index: number): void {
    if (index > MAX_OPERATIONS) throw this.#error("over-limit", `memo entry ${index}`, `at most ${MAX_OPERATIONS}`);
    this.#memo[index] = this.#top();
  }

  #recall(index: number): void {
    const value = this.#memo[index];
    if (value === undefined) throw this.#error("bad-memo", `a reference to entry ${index} of the memo`, "an entry that was written before");
    this.#stack.push(value);
  }

  #memoIndex(text: string): number {
    return Number(this.#in.digits(text));
  }

  #global(module: PickleValue, name: PickleValue): PickleGlobal {
    if (typeof module !== "string" || typeof name !== "string") throw this.#error("bad-stack", "a global whose name is not text", "module and name");
    const global = new PickleGlobal(module, name);
    if (isForbidden(global)) {
      const next = "nothing was called here; do not load this file with a program that would, and get the weights as safetensors";
      throw this.#error("forbidden-global", `a pickle that names ${global.path.slice(0, 80)}, which runs commands, code or files`, "the tensors and classes of a model", next);
    }
    return this.#container(global);
  }

  /** What calling `callee` would give, as far as that is structure; a record of it otherwise. */
  #call(callee: PickleValue, args: PickleValue): void {
    if (!(callee instanceof PickleGlobal || callee instanceof PickleRecord)) {
      throw this.#error("bad-call", "a call of something that is neither a class nor a function", "a class or a function");
    }
    if (!Array.isArray(args)) throw this.#error("bad-call", "a call whose arguments are not a tuple", "a tuple of arguments");
    if (callee instanceof PickleGlobal && DICTS.has(callee.path)) this.#pushContainer(this.#dict(args.at(callee.name === "OrderedDict" ? 0 : 1)));
    else this.#pushContainer(new PickleRecord(callee, args));
  }

  #dict(pairs: PickleValue | undefined): PickleMap {
    if (pairs === undefined || pairs instanceof Map) return new Map(pairs);
    if (!Array.isArray(pairs)) throw this.#error("bad-call", "a dict made of something else than pairs", "a list of pairs");
    return new Map(pairs.map((pair): [PickleValue, PickleValue] => {
      if (Array.isArray(pair) && pair.length === 2) return [pair[0]!, pair[1]!];
      throw this.#error("bad-call", "a dict made of something else than pairs", "a list of pairs");
    }));
  }

  #setItems(items: readonly PickleValue[]): void {
    const target = this.#top();
    if (items.length % 2 !== 0) throw this.#error("bad-stack", "a key without a value", "keys and values in turn");
    if (target instanceof PickleRecord) return;
    if (!(target instanceof Map)) throw this.#error("bad-stack", "keys and values for something that is not a dict", "a dict");
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!;
      if (target.has(key)) throw this.#error("duplicate-key", `the key ${JSON.stringify(typeof key === "string" ? key.slice(0, 80) : "?")} twice in one dict`, "every key once");
      target.set(key, items[i + 1]!);
    }
  }

  #append(items: readonly PickleValue[]): void {
    const target = this.#top();
    if (target instanceof PickleRecord) return;
    if (!Array.isArray(target)) throw this.#error("bad-stack", "items for something that is not a list", "a list");
    for (const item of items) target.push(item);
  }

  #refer(id: PickleValue): void {
    if (Array.isArray(id) && id[0] === BY_SOURCE && id[1] instanceof PickleGlobal) {
      this.#stack.push(id[1]);
      return;
    }
    const reference = this.#container(new PersistentReference(id));
    this.#references.push(reference);
    this.#stack.push(reference);
  }

  #build(): void {
    const state = this.#pop();
    const target = this.#top();
    // The attributes of a dict, such as the versions that PyTorch notes on a state dict, are none of its items.
    if (target instanceof Map) return;
    if (!(target instanceof PickleRecord)) throw this.#error("bad-stack", "a state for something that is not an object", "an object");
    target.state = state;
  }

  #quoted(text: string): string {
    return /^(['"])(.*)\1$/.exec(text)?.[2] ?? text;
  }

  #integerLine(text: string): boolean | number | bigint {
    return text === "00" || text === "01" ? text === "01" : this.#in.digits(text);
  }

  #floatLine(text: string): number {
    if (/^[+-]?(\d|\.\d|inf|nan)/.test(text)) return Number(text.replace("inf", "Infinity").replace(/nan/, "NaN"));
    throw this.#error("bad-number", `"${text.slice(0, 40)}" for a number`, "a number");
  }

  /** Carries out one operation. @returns whether it was STOP. */
  #step(operation: number): boolean {
    const input = this.#in;
    const stack = this.#stack;
    switch (String.fromCharCode(operation)) {
      case ".": return true;
      case "\x80": input.uint8(); break; // PROTO
      case "\x95": input.uint64(); break; // FRAME
      case "(": this.#marks.push(stack.length); break;
      case "0": // POP
        if (this.#marks.at(-1) === stack.length) this.#marks.pop();
        else this.#pop();
        break;
      case "1": this.#sinceMark(); break;
      case "2": stack.push(this.#top()); break;

      case "N": stack.push(null); break;
      case "\x88": stack.push(true); break;
      case "\x89": stack.push(false); break;
      case "K": stack.push(input.uint8()); break;
      case "M": stack.push(input.uint16()); break;
      case "J": stack.push(input.int32()); break;
      case "\x8a": stack.push(input.integer(input.uint8())); break;
      case "\x8b": stack.push(input.integer(input.uint32())); break;
      case "I": stack.push(this.#integerLine(input.line())); break;
      case "L": stack.push(input.digits(input.line().replace(/L$/, ""))); break;
      case "G": stack.push(input.float64()); break;
      case "F": stack.push(this.#floatLine(input.line())); break;

      case "\x8c": stack.push(input.utf8(input.uint8())); break;
      case "X": stack.push(input.utf8(input.uint32())); break;
      case "\x8d": stack.push(input.utf8(input.uint64())); break;
      case "V": stack.push(input.line()); break;
      case "U": stack.push(input.latin1(input.uint8())); break;
      case "T": stack.push(input.latin1(input.uint32())); break;
      case "S": stack.push(this.#quoted(input.line())); break;
      case "C": stack.push(input.take(input.uint8())); break;
      case "B": stack.push(input.take(input.uint32())); break;
      case "\x8e": case "\x96": stack.push(input.take(input.uint64())); break;

      case ")": this.#tuple(0); break;
      case "\x85": this.#tuple(1); break;
      case "\x86": this.#tuple(2); break;
      case "\x87": this.#tuple(3); break;
      case "t": case "l": case "\x91": this.#pushContainer(this.#sinceMark()); break;
      case "]": case "\x8f": this.#pushContainer([]); break;
      case "}": this.#pushContainer(new Map()); break;
      case "d": {
        const items = this.#sinceMark();
        this.#pushContainer(new Map());
        this.#setItems(items);
        break;
      }
      case "s": {
        const value = this.#pop();
        this.#setItems([this.#pop(), value]);
        break;
      }
      case "u": this.#setItems(this.#sinceMark()); break;
      case "a": this.#append([this.#pop()]); break;
      case "e": case "\x90": this.#append(this.#sinceMark()); break;

      case "p": this.#memoise(this.#memoIndex(input.line())); break;
      case "q": this.#memoise(input.uint8()); break;
      case "r": this.#memoise(input.uint32()); break;
      case "\x94": this.#memoise(this.#memo.length); break;
      case "g": this.#recall(this.#memoIndex(input.line())); break;
      case "h": this.#recall(input.uint8()); break;
      case "j": this.#recall(input.uint32()); break;

      case "c": stack.push(this.#global(input.line(), input.line())); break;
      case "\x93": {
        const name = this.#pop();
        stack.push(this.#global(this.#pop(), name));
        break;
      }
      case "R": case "\x81": {
        const args = this.#pop();
        this.#call(this.#pop(), args);
        break;
      }
      case "\x92": { // NEWOBJ_EX
        this.#pop();
        const args = this.#pop();
        this.#call(this.#pop(), args);
        break;
      }
      case "i": { // INST
        const callee = this.#global(input.line(), input.line());
        this.#call(callee, this.#sinceMark());
        break;
      }
      case "o": {
        const [callee = null, ...args] = this.#sinceMark();
        this.#call(callee, args);
        break;
      }
      case "b": this.#build(); break;
      case "P": this.#refer(input.line()); break;
      case "Q": this.#refer(this.#pop()); break;
      default: {
        const got = `byte 0x${operation.toString(16).padStart(2, "0")} at ${input.position - 1} for an operation`;
        throw this.#error("unknown-operation", got, "an operation that checkpoints use");
      }
    }
    return false;
  }
}

/**
 * Reads one pickle.
 * @param start where in `bytes` it begins.
 * @param where name of the file, for messages.
 * @throws PickleError
 */
export function readPickle(bytes: Uint8Array, where: string, start = 0): ReadPickle {
  return new Unpickler(bytes, where, start).run();
}
