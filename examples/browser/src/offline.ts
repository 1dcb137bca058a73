/** Whether the page works without a network, for people. */
export type OfflineState = "ready" | "loading" | "unavailable";

/**
 * Installs the service worker that keeps the page for use offline.
 * @param tell called with each state; `message` is a sentence.
 */
export async function keepForOffline(tell: (state: OfflineState, message: string) => void): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    const reason = globalThis.isSecureContext ? "this browser has no service workers" : "the page came neither over https nor from localhost";
    tell("unavailable", `Not available offline: ${reason}`);
    return;
  }
  tell("loading", "Saving for use offline …");
  try {
    await navigator.serviceWorker.register(new URL("service-worker.js", import.meta.url), { scope: "./" });
    await navigator.serviceWorker.ready;
    tell("ready", "Works offline");
  } catch (failure) {
    tell("unavailable", `Not available offline: ${failure instanceof Error ? failure.message : String(failure)}`);
  }
}
