import { port as usualPort } from "./answerer.ts";
import { codeOf, codes } from "./message.ts";
import { defaultPatience, HostResolvers } from "./resolvers.ts";
import { askByDatagram, askByStream } from "./upstream.ts";

/** Questions on their way at once: of all containers, and of one, so that none takes away what the others have. */
const most = { together: 4096, each: 256 } as const;
/** How long a resolver that did not answer is asked after the others, in milliseconds. */
const distrust = 30_000;
const remembered = 1024;
const unhelpful: ReadonlySet<number> = new Set([codes.serverFailure, codes.notImplemented, codes.refused]);

export interface ForwarderOptions {
  /** Path of the host's resolv.conf. */
  readonly resolvConf: string;
  /** Where other resolvers listen; tests have theirs elsewhere. */
  readonly port?: number;
}

/** On whose behalf, and how. */
export interface Forwarded {
  readonly holder: string;
  /** Resolvers to ask instead of the host's; empty for the host's. */
  readonly upstreams: readonly string[];
  /** By TCP. */
  readonly stream: boolean;
}

/**
 * Asks other resolvers, from the host's own network, one after the other, those last that have lately not answered. One
 * that fails or refuses is no better than a silent one, but what it says is told when no other says more. A question
 * that none answers is answered by nobody here: undefined.
 */
export class Forwarder {
  readonly #host: HostResolvers;
  readonly #port: number;
  /** By resolver, when its silence is forgotten. */
  readonly #silent = new Map<string, number>();
  readonly #underWay = new Map<string, number>();
  #together = 0;
  #turn = 0;

  constructor({ resolvConf, port = usualPort }: ForwarderOptions) {
    this.#host = new HostResolvers(resolvConf);
    this.#port = port;
  }

  /** The answer as it came, under the query's own id. */
  async ask(query: Uint8Array, forwarded: Forwarded): Promise<Uint8Array | undefined> {
    const { holder } = forwarded;
    const own = this.#underWay.get(holder) ?? 0;
    if (this.#together >= most.together || own >= most.each) return undefined;
    this.#count(holder, 1);
    try {
      return await this.#askAll(query, forwarded);
    } finally {
      this.#count(holder, -1);
    }
  }

  async #askAll(query: Uint8Array, { upstreams, stream }: Forwarded): Promise<Uint8Array | undefined> {
    const { servers, patience } = this.#resolvers(upstreams);
    let failure: Uint8Array | undefined;
    for (const server of this.#trustedFirst(servers)) {
      const errand = { server, port: this.#port, query, patience };
      const found = await (stream ? askByStream : askByDatagram)(errand).catch(() => undefined);
      if (found) this.#silent.delete(server);
      else this.#distrust(server);
      if (found && !unhelpful.has(codeOf(found))) return found;
      failure ??= found;
    }
    return failure;
  }

  #resolvers(upstreams: readonly string[]): { servers: readonly string[]; patience: number } {
    if (upstreams.length > 0) return { servers: upstreams, patience: defaultPatience };
    const { servers, patience, rotate } = this.#host.read();
    const first = rotate ? this.#turn++ % servers.length : 0;
    return { servers: [...servers.slice(first), ...servers.slice(0, first)], patience };
  }

  #trustedFirst(servers: readonly string[]): readonly string[] {
    if (this.#silent.size === 0) return servers;
    const now = performance.now();
    const silent = (server: string) => (this.#silent.get(server) ?? 0) > now;
    return [...servers.filter((server) => !silent(server)), ...servers.filter(silent)];
  }

  #distrust(server: string): void {
    if (this.#silent.size >= remembered) this.#silent.clear();
    this.#silent.set(server, performance.now() + distrust);
  }

  #count(holder: string, change: 1 | -1): void {
    this.#together += change;
    const own = (this.#underWay.get(holder) ?? 0) + change;
    if (own === 0) this.#underWay.delete(holder);
    else this.#underWay.set(holder, own);
  }
}
