import { EngineError } from "../../errors/mod.ts";
import { type IdMap, type IdRange, insideId, nobody, type Owner, outsideId } from "../../host/mod.ts";

/** struct vfs_cap_data of linux/capability.h: a word with the revision, the capabilities, and from revision 3 on a root's id. */
const caps = { revisions: 0xff000000, second: 0x02000000, third: 0x03000000, size: 20, sizeWithRoot: 24 } as const;
/** struct posix_acl_xattr_header and _entry: a version; then a tag, permissions and an id each, which counts for two tags. */
const acl = { header: 4, entry: 8, idAt: 4, user: 0x02, group: 0x08 } as const;

type Translate = (ranges: readonly IdRange[], id: number) => number;

/**
 * Who owns what: in archives with ids as inside of a user namespace, in files with those outside. That goes for owners, and
 * for ids in extended attributes (capabilities(7) "Namespaced file capabilities", acl(5)).
 */
export class Owners {
  readonly #map: IdMap;

  constructor(map: IdMap) {
    this.#map = map;
  }

  /** Somebody who has no id inside is nobody there. */
  inside(owner: Owner): Owner {
    return this.#translated(owner, insideId);
  }

  /** Throws "invalid" in Docker's words for an id that the namespace does not have; `of` says whose it is. */
  outside(owner: Owner, of: string): Owner {
    return this.#translated(owner, existing(of));
  }

  #translated({ uid, gid }: Owner, translate: Translate): Owner {
    return { uid: translate(this.#map.uids, uid), gid: translate(this.#map.gids, gid) };
  }

  /**
   * For an archive. undefined for what does not count inside: capabilities that the root of a namespace beside it gave. Those of
   * one above, without a root's id, do count.
   */
  attributeInside(key: string, value: Uint8Array): Uint8Array | undefined {
    if (key !== "security.capability") return this.#acl(key, value, { translate: insideId });
    if (value.length !== caps.sizeWithRoot) return value;
    const root = insideId(this.#map.uids, view(value).getUint32(caps.size, true));
    return root === nobody ? undefined : capabilities(value, root === 0 ? undefined : root);
  }

  /** For a file: capabilities count for the root of the namespace. Throws as {@link Owners.outside}. */
  attributeOutside(key: string, value: Uint8Array, { of }: { readonly of: string }): Uint8Array {
    if (key !== "security.capability") return this.#acl(key, value, { translate: existing(of) });
    if (value.length < caps.size) return value;
    const root = value.length === caps.sizeWithRoot ? view(value).getUint32(caps.size, true) : 0;
    return capabilities(value, existing(of)(this.#map.uids, root));
  }

  #acl(key: string, value: Uint8Array, { translate }: { readonly translate: Translate }): Uint8Array {
    if (!key.startsWith("system.posix_acl_")) return value;
    const copy = Uint8Array.from(value);
    const words = view(copy);
    for (let at = acl.header; at + acl.entry <= copy.length; at += acl.entry) {
      const tag = words.getUint16(at, true);
      if (tag !== acl.user && tag !== acl.group) continue;
      const ranges = tag === acl.user ? this.#map.uids : this.#map.gids;
      words.setUint32(at + acl.idAt, translate(ranges, words.getUint32(at + acl.idAt, true)), true);
    }
    return copy;
  }
}

function existing(of: string): Translate {
  return (ranges, id) => {
    const found = outsideId(ranges, id);
    if (found !== undefined) return found;
    throw new EngineError("invalid", `${of}: container ID ${id} cannot be mapped to a host ID`);
  };
}

/** With another root, or none. */
function capabilities(value: Uint8Array, root: number | undefined): Uint8Array {
  const copy = new Uint8Array(root === undefined ? caps.size : caps.sizeWithRoot);
  copy.set(value.subarray(0, caps.size));
  const words = view(copy);
  const flags = (words.getUint32(0, true) & ~caps.revisions) >>> 0;
  words.setUint32(0, (flags | (root === undefined ? caps.second : caps.third)) >>> 0, true);
  if (root !== undefined) words.setUint32(caps.size, root, true);
  return copy;
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
