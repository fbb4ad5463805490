import { aborted, after } from "../../async/mod.ts";
import { messageOf } from "../../errors/mod.ts";
import type { Net } from "../../host/mod.ts";
import type { Log } from "../../log/mod.ts";

/** Milliseconds from a change of the ruleset to the look at it, in which further changes come along. */
const settle = 500;

export interface KeeperOptions {
  readonly net: Pick<Net, "watchRuleset">;
  readonly log: Log;
  /** Looks, and makes anew what is not as it should be. */
  readonly repair: () => Promise<void>;
}

/**
 * Has the rules looked at after every change of the ruleset, since a firewall's reload (`nft flush ruleset`) takes them
 * along. Our own changes and those of other daemons end with the look, which finds all as it was and writes nothing. It
 * costs some netlink messages, at most twice a second and never while nobody changes anything.
 */
export class Keeper implements AsyncDisposable {
  readonly #options: KeeperOptions;
  readonly #closed = new AbortController();
  #watch: Disposable | undefined;
  #changed = false;
  #looking: Promise<void> | undefined;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** From here on no change is missed. Where the kernel tells of none, the log says so. */
  async open(): Promise<void> {
    const watcher = { changed: () => this.#look(), ended: () => void this.#reopen() };
    try {
      this.#watch = await this.#options.net.watchRuleset(watcher);
    } catch (err) {
      const message = "Watch the nft ruleset: rules that others flush are made anew at the next start only";
      this.#options.log.warn(message, { error: messageOf(err) });
    }
  }

  /** What it has begun is done when this resolves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    this.#watch?.[Symbol.dispose]();
    await this.#looking;
  }

  /** The kernel keeps so many messages for a listener; what came after them may have been anything. */
  async #reopen(): Promise<void> {
    if (await this.#settled()) {
      await this.open();
      this.#look();
    }
  }

  #look(): void {
    this.#changed = true;
    this.#looking ??= this.#repeat().finally(() => {
      this.#looking = undefined;
    });
  }

  /** Again for what changed during the last look, such as the repair itself. */
  async #repeat(): Promise<void> {
    while (this.#changed && (await this.#settled())) {
      this.#changed = false;
      await this.#repair();
    }
  }

  /** False when it has been closed meanwhile. */
  async #settled(): Promise<boolean> {
    const { signal } = this.#closed;
    if (!signal.aborted) await Promise.race([after(settle), aborted(signal)]);
    return !signal.aborted;
  }

  async #repair(): Promise<void> {
    try {
      await this.#options.repair();
    } catch (err) {
      this.#options.log.warn("Make nft rules anew", { error: messageOf(err) });
    }
  }
}
