/** `size` ids: those from `inside` on are for everybody outside of the namespace those from `outside` on (user_namespaces(7)). */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly size: number;
}

/** Which users and groups of the host those of a user namespace are. */
export interface IdMap {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What the kernel calls an id that is none in a namespace (/proc/sys/kernel/overflowuid). */
export const nobody = 65_534;

/** The host's id of an id inside; undefined where it has none. */
export function outsideId(ranges: readonly IdRange[], id: number): number | undefined {
  const range = ranges.find(({ inside, size }) => id >= inside && id < inside + size);
  return range && range.outside + (id - range.inside);
}

/** What an id of the host is inside: {@link nobody} where it has no place there. */
export function insideId(ranges: readonly IdRange[], id: number): number {
  const range = ranges.find(({ outside, size }) => id >= outside && id < outside + size);
  return range ? range.inside + (id - range.outside) : nobody;
}

/** A map as /proc/PID/uid_map has it. */
export function mapText(ranges: readonly IdRange[]): string {
  return ranges.map(({ inside, outside, size }) => `${inside} ${outside} ${size}\n`).join("");
}

export function parseMap(text: string): IdRange[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => {
    const [inside = 0, outside = 0, size = 0] = line.trim().split(/\s+/).map(Number);
    return { inside, outside, size };
  });
}
