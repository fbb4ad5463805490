import type { KeyedLock } from "../async/mod.ts";
import { messageOf } from "../errors/mod.ts";
import { Dockerd } from "./nft/dockerd.ts";
import { Keeper } from "./nft/keeper.ts";
import { NftTables, type PortOwner, type TablesOptions } from "./nft/tables.ts";
import { bridgeLinks, type NetworkRow } from "./table.ts";

export interface NatOptions extends TablesOptions {
  readonly locks: KeyedLock;
}

/** All of this daemon's in nft: its own tables, and its rules in a chain of dockerd's. Every change has the lock "nft". */
export class Nat {
  readonly #options: NatOptions;
  readonly #tables: NftTables;
  readonly #dockerd: Dockerd;
  #keeper: Keeper | undefined;

  constructor(options: NatOptions) {
    this.#options = options;
    this.#tables = new NftTables(options);
    this.#dockerd = new Dockerd(options.host, options.tag);
  }

  /** Brings everything to what the rows say, and from now on back to it when others have flushed it. */
  async open(): Promise<void> {
    await this.release();
    const { log, host } = this.#options;
    this.#keeper = new Keeper({ net: host.net, log, repair: () => this.#repair() });
    await this.#keeper.open();
    await this.#locked(async () => {
      await this.#tables.apply();
      await this.#pass();
    });
  }

  /** A network that has its row. */
  add(network: NetworkRow): Promise<void> {
    return this.#locked(async () => {
      await this.#tables.add(network);
      await this.#pass();
    });
  }

  /** A network whose row is gone; no error when nothing of it is there. */
  remove(network: NetworkRow): Promise<void> {
    return this.#locked(async () => {
      await this.#tables.remove(network);
      await this.#pass();
    });
  }

  /** Publishes an endpoint's ports, which have their rows, or ends that of ports whose rows are gone. All or none. */
  changePorts(change: "add" | "delete", owner: PortOwner): Promise<void> {
    return this.#locked(() => this.#tables.changePorts(change, owner));
  }

  /** Leaves all as it is, and to itself. */
  async release(): Promise<void> {
    await this.#keeper?.[Symbol.asyncDispose]();
    this.#keeper = undefined;
  }

  /** Takes all out of the kernel. */
  async close(): Promise<void> {
    await this.release();
    await this.#locked(async () => {
      await this.#dockerd.unpass();
      await this.#tables.close();
    });
  }

  #repair(): Promise<void> {
    return this.#locked(async () => {
      await this.#tables.repair();
      await this.#pass();
    });
  }

  /** What fails because dockerd changes its chain at the same moment is tried again when the keeper hears of that change. */
  async #pass(): Promise<void> {
    try {
      await this.#dockerd.pass(this.#options.db.read(bridgeLinks));
    } catch (err) {
      this.#options.log.warn("Let bridges through dockerd's rules", { error: messageOf(err) });
    }
  }

  #locked<T>(work: () => Promise<T>): Promise<T> {
    return this.#options.locks.run("nft", work);
  }
}
