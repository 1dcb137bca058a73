
import { DeviceError } from "./device-error.js";

const AFTER_LOSS = "activate the backend and compile again; if it happens again, use smaller batches (microBatch) or update the driver";

const WITHOUT_MEMORY =
  "compute fewer rows at once (microBatch, or smaller batches), fewer task vectors at a time (a budget), or on another backend";

const AFTER_FAILURE = "update the graphics driver, or compute on another backend";

/** Names of the errors that a call on a lost device rejects with. */
const OF_LOST_DEVICES = new Set(["AbortError", "OperationError", "InvalidStateError"]);

/** Knows whether a device is still there, and turns what it reports into errors that say what to do. */
export class DeviceWatch {
  #failure: DeviceError | null = null;
  #lost: DeviceError | null = null;

  constructor(readonly device: GPUDevice, readonly name: string) {
    void device.lost.then(({ message }) => {
      this.#lost = new DeviceError("lost", `graphics device "${name}"`, `it was lost${message === "" ? "" : ` (${message})`}`, AFTER_LOSS);
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#failure ??= this.#named(event.error);
    });
  }

  get isLost(): boolean {
    return this.#lost !== null;
  }

  #named(error: GPUError): DeviceError {
    const where = `graphics device "${this.name}"`;
    const said = error.message.split("\n")[0]!;
    return error.constructor.name === "GPUOutOfMemoryError"
      ? new DeviceError("memory", where, `out of memory${said === "" ? "" : ` (${said})`}`, WITHOUT_MEMORY)
      : new DeviceError("other", where, said, AFTER_FAILURE);
  }

  /** Throws what the device has reported since it was last asked. */
  check(): void {
    const error = this.#lost ?? this.#failure;
    this.#failure = null;
    if (error !== null) throw error;
  }

  /**
   * Runs work on the device. What the work returns is disposed when the device failed meanwhile.
   * @throws DeviceError when the device is lost, has no memory left or refuses.
   */
  async run<T>(work: () => Promise<T>, discard: (result: T) => void = () => undefined): Promise<T> {
    this.check();
    const { device } = this;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    let result: T | undefined;
    let thrown: unknown = null;
    try {
      result = await work();
    } catch (error) {
      thrown = error ?? new Error("unknown");
    }
    const memory = await device.popErrorScope().catch(() => null);
    const refused = await device.popErrorScope().catch(() => null);
    const failure = await this.#failureOf(memory ?? refused, thrown);
    if (failure === null) return result as T;
    if (thrown === null) discard(result as T);
    throw failure;
  }

  async #failureOf(reported: GPUError | null, thrown: unknown): Promise<unknown> {
    const named = reported === null ? null : this.#named(reported);
    if (thrown instanceof RangeError && /buffer/i.test(thrown.message)) {
      return new DeviceError("memory", `graphics device "${this.name}"`, `out of memory (${thrown.message.split("\n")[0]!})`, WITHOUT_MEMORY);
    }
    // The promise of a loss is settled after the calls that it made fail.
    if (thrown !== null && OF_LOST_DEVICES.has((thrown as Error).name)) await new Promise((resolve) => setTimeout(resolve, 0));
    const error = this.#lost ?? named ?? this.#failure ?? thrown;
    this.#failure = null;
    return error;
  }
}

