import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";

/** What a resolv.conf says about whom to ask. */
export interface ResolvConf {
  /** At most three, as resolv.conf(5) has it; the local machine where none is named. */
  readonly servers: readonly string[];
  /** How long one of them has for its answer before the next is asked, in milliseconds: 1,000 to 5,000. */
  readonly patience: number;
  /** They take turns at being asked first. */
  readonly rotate: boolean;
}

/** In seconds; a client waits for five (resolv.conf(5), RES_TIMEOUT), and the second resolver is to have some of them. */
const defaultTimeout = 2;
const longestTimeout = 5;
export const defaultPatience = defaultTimeout * 1000;

/** The host's resolv.conf, read again when it has changed. */
export class HostResolvers {
  readonly #path: string;
  #changed = -1;
  #known: ResolvConf = parseResolvConf("");

  constructor(path: string) {
    this.#path = path;
  }

  read(): ResolvConf {
    const changed = statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (changed !== this.#changed) this.#known = parseResolvConf(changed === 0 ? "" : readFileSync(this.#path, "utf8"));
    this.#changed = changed;
    return this.#known;
  }
}

export function parseResolvConf(text: string): ResolvConf {
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/));
  const named = lines.flatMap(([word, address = ""]) => (word === "nameserver" && isIP(address) ? [address] : []));
  const options = lines.filter(([word]) => word === "options").flatMap(([, ...rest]) => rest);
  const timeout = Number(options.findLast((option) => /^timeout:\d+$/.test(option))?.slice(8) ?? defaultTimeout);
  return {
    servers: named.length > 0 ? named.slice(0, 3) : ["127.0.0.1"],
    patience: Math.min(longestTimeout, Math.max(1, timeout)) * 1000,
    rotate: options.includes("rotate"),
  };
}
