/** Where the API has a volume. */
export function volumePath(name: string, below = ""): string {
  return `/volumes/${encodeURIComponent(name)}${below}`;
}
