import { InputError } from "@atlas-tv/core";
import { byId } from "./page-elements.js";

/** The dialog that takes pictures, one after the other, for whoever opened it. */
export class Camera {
  readonly #dialog = byId("camera", HTMLDialogElement);
  readonly #video = byId("viewfinder", HTMLVideoElement);
  readonly #status = byId("camera-status", HTMLElement);
  #take: (picture: Blob) => void = () => undefined;
  #count = 0;

  constructor() {
    byId("shoot", HTMLButtonElement).addEventListener("click", () => { this.#shoot(); });
    byId("close-camera", HTMLButtonElement).addEventListener("click", () => { this.#dialog.close(); });
    this.#dialog.addEventListener("close", () => { this.#release(); });
  }

  /** @throws InputError when there is no camera, or it may not be used. */
  async open(take: (picture: Blob) => void): Promise<void> {
    const expected = "a camera that this page may use";
    const next = "allow it in the browser's settings for this page, or add image files";
    // Browsers hide cameras from pages that came without encryption.
    if (!("mediaDevices" in navigator)) throw new InputError({ where: "camera", got: "none for this page", expected, next: "open the page over https or on localhost" });
    try {
      this.#video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (cause) {
      throw new InputError({ where: "camera", got: cause instanceof Error ? cause.message : String(cause), expected, next }, { cause });
    }
    this.#take = take;
    this.#count = 0;
    this.#status.textContent = "";
    this.#dialog.showModal();
  }

  #shoot(): void {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (width === 0) return;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    canvas.getContext("2d")!.drawImage(this.#video, 0, 0);
    canvas.toBlob((picture) => {
      if (picture === null) return;
      this.#take(picture);
      this.#status.textContent = `${++this.#count} ${this.#count === 1 ? "picture" : "pictures"} taken`;
    }, "image/png");
  }

  #release(): void {
    const { srcObject } = this.#video;
    if (srcObject instanceof MediaStream) for (const track of srcObject.getTracks()) track.stop();
    this.#video.srcObject = null;
  }
}
