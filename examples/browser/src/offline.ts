/** Whether the page works without a network. */
export type OfflineState = "ready" | "loading" | "unavailable";

/** Rejects when the browser drops a service worker before it works: `ready` then never comes. */
function givenUp(worker: ServiceWorker): Promise<never> {
  return new Promise((_, reject) => {
    worker.addEventListener("statechange", () => {
      if (worker.state === "redundant") reject(new Error("the browser could not keep the files of this page"));
    });
  });
}

/**
 * Installs the service worker that keeps the page for use offline.
 * @param tell called with each state; `message` says it to people.
 */
export async function keepForOffline(tell: (state: OfflineState, message: string) => void): Promise<void> {
  if (!("serviceWorker" in navigator)) return tell("unavailable", "Not available offline: this browser has no service workers");
  tell("loading", "Saving for use offline …");
  try {
    const { installing } = await navigator.serviceWorker.register(new URL("service-worker.js", import.meta.url), { scope: "./" });
    await Promise.race([navigator.serviceWorker.ready, ...(installing === null ? [] : [givenUp(installing)])]);
    tell("ready", "Works offline");
  } catch (failure) {
    tell("unavailable", `Not available offline: ${failure instanceof Error ? failure.message : String(failure)}`);
  }
}
