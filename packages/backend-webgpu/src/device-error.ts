/** What the graphics device could not do; the message says what to do next. Nothing that was handed in is at fault. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  /** "memory": not enough of it; "lost": the device is gone; "other": what the driver said. */
  readonly kind: "memory" | "lost" | "other";

  constructor(kind: DeviceError["kind"], where: string, got: string, next: string) {
    super(`${where}\n  got: ${got}\n  next: ${next}`);
    this.kind = kind;
  }
}
