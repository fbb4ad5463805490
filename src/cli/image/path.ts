/** The API's path of an image; names keep their slashes. */
export function imagePath(name: string, rest = ""): string {
  return `/images/${name.split("/").map(encodeURIComponent).join("/")}${rest}`;
}
