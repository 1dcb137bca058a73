/** The element of that id; the page and this program are built together, so a missing one is a mistake of ours. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`no <${type.name}> with the id "${id}"`);
  return found;
}

/** The one element below `root` that a selector names. */
export function within<T extends Element>(root: ParentNode, selector: string, type: new () => T): T {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`no ${type.name} for "${selector}"`);
  return found;
}

/** A copy of the first element of a template. */
export function fromTemplate(id: string): HTMLElement {
  const copy = byId(id, HTMLTemplateElement).content.firstElementChild!.cloneNode(true);
  return copy as HTMLElement;
}

export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Shows a failure in its place, or takes it away; what is shown is read out at once. */
export function showFailure(place: HTMLElement, failure: unknown): void {
  place.hidden = failure === null;
  place.textContent = failure === null ? "" : failure instanceof Error ? failure.message : String(failure);
}

/** Runs an action of the page and shows its failure in that place. */
export function reporting(place: HTMLElement, action: () => Promise<void>): void {
  showFailure(place, null);
  action().catch((failure: unknown) => { showFailure(place, failure); });
}

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
