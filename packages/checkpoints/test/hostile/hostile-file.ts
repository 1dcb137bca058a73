/** A file that is wrong in one way. */
export interface HostileFile {
  /** The fault, as a noun: the test is named after it. */
  readonly title: string;
  /** Name of the error and its fault, as in `ZipError truncated`; `InputError` has none. */
  readonly error: string;
  readonly bytes: () => Uint8Array;
}

export const hostile = (error: string) => (fault: string, title: string, bytes: () => Uint8Array): HostileFile => ({ title, error: `${error} ${fault}`.trim(), bytes });
