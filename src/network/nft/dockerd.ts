import type { Net } from "../../host/mod.ts";
import { kernelNames, type NetworkHost, tablePrefix } from "../context.ts";
import { nft } from "./tables.ts";

type Rules = NonNullable<ReturnType<Net["nftRules"]>>["rules"];

const table = { family: "ip", table: "filter" } as const;
const chain = "DOCKER-USER";
/** The chain that dockerd leaves to administrators, where every Berth puts rules. */
export const dockerdChain = `${table.family} ${table.table} ${chain}`;

/**
 * Lets our bridges through where dockerd drops all that it does not know: an accept of ours cannot undo a drop of
 * theirs, but its chain DOCKER-USER is asked first. One pair of rules, whose names end in an asterisk, is for all
 * user-defined networks; bridges that are called otherwise have their own.
 */
export class Dockerd {
  readonly #host: NetworkHost;
  readonly #comment: string;
  readonly #prefix: string;

  constructor(host: NetworkHost, tag: string) {
    const names = kernelNames(tag);
    this.#host = host;
    this.#comment = names.table;
    this.#prefix = names.bridgePrefix;
  }

  /** For the caller who holds the lock "nft". Nothing is done when the chain is not there, or has these rules already. */
  async pass(bridges: readonly string[]): Promise<void> {
    const own = this.#own();
    if (!own) return;
    const names = [`${this.#prefix}*`, ...bridges.filter((name) => !name.startsWith(this.#prefix))];
    const wanted = names.flatMap((name) => [`iifname "${name}"`, `oifname "${name}"`]);
    const comments = wanted.map((match) => `${this.#comment} ${match.replaceAll('"', "")}`);
    if (own.map(({ comment }) => comment).join("\n") === comments.join("\n")) return;
    const fresh = wanted.map((match, at) => `insert rule ${dockerdChain} ${match} accept comment "${comments[at]}"`);
    await nft(this.#host, `${[...deletions(own), ...fresh.toReversed()].join("\n")}\n`);
  }

  async unpass(): Promise<void> {
    const own = this.#own();
    if (own && own.length > 0) await nft(this.#host, `${deletions(own).join("\n")}\n`);
  }

  /** Those of an earlier Berth have the table's name alone. */
  #own(): Rules | undefined {
    return this.#host.net
      .nftRules(table, chain)
      ?.rules.filter(({ comment }) => comment === this.#comment || comment.startsWith(`${this.#comment} `));
  }
}

/** Tags of all daemons that have put rules into dockerd's chain, each once. */
export function tagsAtDockerd({ net }: Pick<NetworkHost, "net">): string[] {
  const rules = net.nftRules(table, chain)?.rules ?? [];
  const tags = rules.map(({ comment }) => new RegExp(`^${tablePrefix}([a-z0-9]+)`).exec(comment)?.[1]);
  return [...new Set(tags.filter((tag) => tag !== undefined))];
}

function deletions(rules: Rules): string[] {
  return rules.map(({ handle }) => `delete rule ${dockerdChain} handle ${handle}`);
}
