/** Capitals, hyphens and underscores make no difference in the name of a data set: "fashion-mnist" is FashionMNIST. */
export function nameKey(name: string): string {
  return name.toLowerCase().replaceAll(/[-_\s]/g, "");
}
