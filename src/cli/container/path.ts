/** The API's path of a container, by name or id. */
export function containerPath(name: string, rest = ""): string {
  return `/containers/${encodeURIComponent(name)}${rest}`;
}
