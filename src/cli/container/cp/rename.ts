import type { TarHeader } from "../../../stream/mod.ts";
import type { Plan } from "./paths.ts";

/** Puts `to` in the place of the first part of an entry's name, and of the name that a hard link gives. */
export function renamed(header: TarHeader, rename: Plan["rename"]): TarHeader {
  if (!rename) return header;
  const name = replaced(header.name, rename);
  if (header.type !== "hardlink" || !header.linkname) return { ...header, name };
  return { ...header, name, linkname: replaced(header.linkname, rename) };
}

function replaced(name: Uint8Array, { from, to }: NonNullable<Plan["rename"]>): Uint8Array {
  const bytes = Buffer.from(name);
  const old = Buffer.from(from === "/" ? "" : from);
  const rest = bytes.subarray(old.length);
  const matches = bytes.subarray(0, old.length).equals(old) && (rest.length === 0 || rest[0] === 0x2f);
  return matches ? Buffer.concat([Buffer.from(to), rest]) : bytes;
}
