/** What a pickle describes, as plain data: nothing in it was looked up, made or called. */
export type PickleValue =
  | null | boolean | number | bigint | string | Uint8Array
  /** A list, a tuple or a set. */
  | PickleValue[]
  /** A dict or an OrderedDict. */
  | PickleMap
  | PickleGlobal | PickleRecord | PersistentReference;

export type PickleMap = Map<PickleValue, PickleValue>;

/** The name of a class or function. */
export class PickleGlobal {
  constructor(readonly module: string, readonly name: string) {}

  get path(): string {
    return `${this.module}.${this.name}`;
  }
}

/** What the pickle would have made by calling something: kept as it is described. */
export class PickleRecord {
  /** What the pickle would have set on the object; null when nothing. */
  state: PickleValue = null;

  constructor(readonly callee: PickleGlobal | PickleRecord, readonly args: readonly PickleValue[]) {}

  /** `module.name` of the class or function; null when that is itself the result of a call. */
  get path(): string | null {
    return this.callee instanceof PickleGlobal ? this.callee.path : null;
  }
}

/** Something that lies beside the pickle; PyTorch's storages are referred to in this way. */
export class PersistentReference {
  constructor(readonly id: PickleValue) {}
}
