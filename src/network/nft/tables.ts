import type { Db, Query } from "../../db/mod.ts";
import { EngineError, isKind, messageOf } from "../../errors/mod.ts";
import type { NftTable } from "../../host/mod.ts";
import type { Log } from "../../log/mod.ts";
import { formatAddress } from "../address.ts";
import { kernelNames, type NetworkHost } from "../context.ts";
import type { PublishedPort } from "../ports.ts";
import { allPorts, type NetworkRow, networks } from "../table.ts";
import { networkScript } from "./network-elements.ts";
import { portElement } from "./port-elements.ts";
import { renderNftTable } from "./render.ts";
import { type FamilyName, familyOf, type NftNetwork, type NftState } from "./state.ts";

export interface TablesOptions {
  readonly db: Db;
  readonly host: NetworkHost;
  readonly log: Log;
  readonly tag: string;
}

/** Whose ports change. */
export interface PortOwner {
  readonly address: number;
  readonly address6?: string;
  readonly ports: readonly PublishedPort[];
}

const families: readonly FamilyName[] = ["ip", "ip6"];

/**
 * This daemon's tables. They are made whole from the rows at the start and when somebody has touched them, and changed by
 * elements otherwise. One caller at a time.
 */
export class NftTables {
  readonly #options: TablesOptions;
  readonly #table: string;
  /** What the tables that should be there were like when they were made. */
  readonly #made = new Map<FamilyName, string | undefined>();

  constructor(options: TablesOptions) {
    this.#options = options;
    this.#table = kernelNames(options.tag).table;
  }

  /** Brings all to what the rows say, in one transaction. */
  async apply(): Promise<void> {
    const state = this.#options.db.read((q) => stateOf(q, this.#table));
    const wanted = families.filter((family) => family === "ip" || state.networks.some(({ subnet6 }) => subnet6));
    const stale = families.filter((family) => !wanted.includes(family) && this.#look(family) !== undefined);
    await this.#nft([...stale.map((family) => this.#deletion(family)), renderNftTable(state)].join(""));
    this.#made.clear();
    for (const family of wanted) this.#made.set(family, this.#look(family));
  }

  /** Makes everything anew when a table is gone, is another one, or has other rules than when it was made. */
  async repair(): Promise<void> {
    const touched = [...this.#made].filter(([family, made]) => made === undefined || this.#look(family) !== made);
    if (touched.length === 0) return;
    const gone = touched.map(([family]) => `${family} ${this.#table}`).join(", ");
    this.#options.log.warn("nft tables were deleted or changed by another program, making them anew", { tables: gone });
    await this.apply();
  }

  /** A network that has its row. */
  async add(network: NetworkRow): Promise<void> {
    const entry = entryOf(network);
    if (!entry) return;
    if (entry.subnet6 && !this.#made.has("ip6")) await this.apply();
    else await this.#change(networkScript("add", this.#table, entry));
  }

  /** A network whose row is gone; no error when nothing of it is there. */
  async remove(network: NetworkRow): Promise<void> {
    const entry = entryOf(network);
    if (!entry) return;
    await this.#change(networkScript("delete", this.#table, entry));
    const hasSix = this.#options.db.read(networks).some(({ bridge }) => bridge?.six);
    if (entry.subnet6 && !hasSix) await this.#drop("ip6");
  }

  /** Publishes ports that have their rows, or ends that of ports whose rows are gone; all or none. */
  async changePorts(change: "add" | "delete", owner: PortOwner): Promise<void> {
    try {
      this.#changePorts(change, owner);
    } catch (err) {
      if (!isKind(err, "not-found") && !isKind(err, "conflict")) throw err;
      await this.#anew(err);
    }
  }

  /** Takes all out of the kernel. */
  async close(): Promise<void> {
    for (const family of [...this.#made.keys()]) await this.#drop(family);
  }

  async #change(script: string): Promise<void> {
    try {
      await this.#nft(script);
    } catch (err) {
      await this.#anew(err);
    }
  }

  /** What the rows say is right, whatever has become of the elements meanwhile: somebody may have flushed them a moment ago. */
  async #anew(error: unknown): Promise<void> {
    this.#options.log.warn("nft tables are not as they were left, making them anew", { error: messageOf(error) });
    await this.apply();
  }

  #changePorts(change: "add" | "delete", owner: PortOwner): void {
    for (const family of families) {
      const own = owner.ports.filter((port) => familyOf(port) === family);
      const elements = own.map((port) => portElement(change, { ...port, address: behind(owner, port) }));
      this.#options.host.net.changeElements(this.#at(family), elements);
    }
  }

  async #drop(family: FamilyName): Promise<void> {
    await this.#nft(this.#deletion(family));
    this.#made.delete(family);
  }

  /** Also of one that is not there. */
  #deletion(family: FamilyName): string {
    const table = `table ${family} ${this.#table}\n`;
    return `${table}delete ${table}`;
  }

  /** The table's identity and that of its rules. */
  #look(family: FamilyName): string | undefined {
    const found = this.#options.host.net.nftRules(this.#at(family));
    return found && [found.handle, ...found.rules.map(({ handle }) => handle)].join(" ");
  }

  #at(family: FamilyName): NftTable {
    return { family, table: this.#table };
  }

  async #nft(stdin: string): Promise<void> {
    await nft(this.#options.host, stdin);
  }
}

/** Runs the script in one transaction. */
export async function nft({ processes }: Pick<NetworkHost, "processes">, stdin: string): Promise<void> {
  const { code, stderr } = await processes.run(["nft", "-f", "-"], { stdin });
  if (code !== 0) throw new EngineError("internal", `nft -f -: ${stderr.trim() || `exit code ${code}`}`);
}

/** The container's address of the kind that the port is published on. */
function behind(owner: { address: number; address6?: string | null }, port: PublishedPort): string {
  return familyOf(port) === "ip6" ? (owner.address6 ?? "::") : formatAddress(owner.address);
}

function stateOf(q: Query, table: string): NftState {
  return {
    table,
    networks: networks(q).flatMap((row) => entryOf(row) ?? []),
    ports: allPorts(q).map((port) => ({ ...port, address: behind(port, port) })),
  };
}

function entryOf({ bridge, internal }: NetworkRow): NftNetwork | undefined {
  if (!bridge) return undefined;
  const { link, subnet, masquerade, six, trusted = [], mode4, mode6 } = bridge;
  const open = [
    ...(mode4 === "nat-unprotected" ? ["ip" as const] : []),
    ...(mode6 === "nat-unprotected" ? ["ip6" as const] : []),
  ];
  return { bridge: link, subnet, masquerade, internal, open, trusted, ...(six && { subnet6: six.subnet }) };
}
