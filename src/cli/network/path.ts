/** The API's path of a network; names may hold spaces. */
export function networkPath(name: string, rest = ""): string {
  return `/networks/${encodeURIComponent(name)}${rest}`;
}
