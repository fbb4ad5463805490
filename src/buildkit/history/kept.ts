/** Characters of one name and one value that a record has room for, and that are looked at: of one value, of a map together. */
const most = { name: 256, value: 4096, looked: 32 * 1024, lookedInAll: 256 * 1024 } as const;

/**
 * Not kept at all: the attributes of caches, which hold keys and tokens for some of their kinds, and proxies, which are no
 * business of anybody's who reads what was built.
 */
const left = /^(?:cache-imports|build-arg:(?:https?|ftp|all|no)_proxy)$/i;

/** Of what a client gave, what may be told to whoever asks: no credentials, and no more bytes than there is room for. */
export function keptOf(given: Readonly<Record<string, string>>, room: number): Record<string, string> {
  const kept: [string, string][] = [];
  let [free, looked] = [room, 0];
  for (const [name, value] of Object.entries(given)) {
    if (left.test(name) || name.length > most.name) continue;
    looked += Math.min(value.length, most.looked);
    if (looked > most.lookedInAll) break;
    const text = keptText(value);
    free -= Buffer.byteLength(name) + Buffer.byteLength(text);
    if (free < 0) break;
    kept.push([name, text]);
  }
  return Object.fromEntries(kept);
}

/** Credentials go before what is too long does: a cut inside a URL could hide where they end. No user is as long as what is not looked at. */
export function keptText(text: string, room: number = most.value): string {
  const plain = text
    .slice(0, most.looked)
    .replace(/([a-z][a-z\d+.-]{0,15}:\/\/)([^/\s]*)@/gi, (_, scheme: string, user: string) =>
      scheme.toLowerCase() === "ssh://" ? `${scheme}${user.split(":")[0]}@` : scheme,
    );
  return plain.length <= room && text.length <= most.looked ? plain : `${plain.slice(0, room)}…`;
}
