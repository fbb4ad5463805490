/** A million are more than any kernel has. */
const most = 1_000_000;

/** The numbers of a kernel's list such as "0-3,6" (cpuset(7), "List format"); undefined for what is none. */
export function expandList(list: string): ReadonlySet<number> | undefined {
  const found = new Set<number>();
  for (const part of list.split(",").filter((one) => one !== "")) {
    const [, first = "", last = first] = /^(\d{1,7})(?:-(\d{1,7}))?$/.exec(part.trim()) ?? [];
    const [low, high] = [Number(first), Number(last)];
    if (first === "" || high < low || high > most) return undefined;
    for (let one = low; one <= high; one++) found.add(one);
  }
  return found;
}
