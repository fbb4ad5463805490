import { isKind } from "../../errors/mod.ts";
import type { Job, JobContext } from "../../host/mod.ts";
import { type Forwarded, Forwarder } from "./forward.ts";
import { listen } from "./listen.ts";
import { type Answer, codes, encodeAnswer, encodeTruncated, parseQuery, type Query } from "./message.ts";
import { type Member, Zone } from "./zone.ts";

export interface ServeInput {
  /** Path of the network namespace where containers ask. */
  readonly namespace: string;
  /** Of the BroadcastChannel by which news comes. */
  readonly channel: string;
  /** The host's resolv.conf. */
  readonly resolvConf: string;
}

/** What the main thread tells the resolver, which reports `number` when it has heard it. */
export interface News {
  readonly number: number;
  readonly what: Change | { readonly kind: "close" };
}

export type Change =
  | { readonly kind: "add"; readonly member: Member }
  | { readonly kind: "remove"; readonly endpointId: string };

/**
 * Answers until it is told to close. It is a thread of its own: names resolve in time whatever the engine is busy with,
 * and a container that asks without end has its own queue. Reports 0 once it listens.
 */
export const serveNames: Job<ServeInput, void> = { name: "network.serveNames", run: serve };

export const networkJobs = [serveNames];

async function serve(input: ServeInput, context: JobContext): Promise<void> {
  const resolver = new Resolver(input.resolvConf);
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  const channel = new BroadcastChannel(input.channel);
  channel.onmessage = ({ data: { number, what } }: MessageEvent<News>) => {
    if (what.kind === "close") return close();
    resolver.hear(what);
    context.report(number);
  };
  try {
    using _listening = await listen(input.namespace, (query, at) => resolver.answer(query, at));
    context.report(0);
    await closed;
  } finally {
    channel.close();
  }
}

class Resolver {
  readonly #zone = new Zone();
  readonly #forwarder: Forwarder;

  constructor(resolvConf: string) {
    this.#forwarder = new Forwarder({ resolvConf });
  }

  hear(change: Change): void {
    if (change.kind === "add") this.#zone.add(change.member);
    else this.#zone.remove(change.endpointId);
  }

  /** The message to send back, at once for what is known here; undefined for what is no query, which gets no answer. */
  answer(bytes: Uint8Array, at: Asked): Uint8Array | undefined | Promise<Uint8Array> {
    const query = parsed(bytes);
    if (!query) return undefined;
    const decision = this.#zone.decide(query.question, at.from);
    const limit = at.stream ? longestMessage : query.size;
    if (decision.kind === "answer") return encodeAnswer(query, { answer: decision.answer, limit });
    return this.#forward(bytes, { query, ...decision, stream: at.stream, limit });
  }

  async #forward(bytes: Uint8Array, { query, limit, ...forwarded }: Forwarding): Promise<Uint8Array> {
    const found = await this.#forwarder.ask(bytes, forwarded);
    if (!found) return encodeAnswer(query, { answer: nothing, limit });
    return found.length > limit ? encodeTruncated(query) : found;
  }
}

interface Asked {
  readonly from: string;
  readonly stream: boolean;
}

interface Forwarding extends Forwarded {
  readonly query: Query;
  readonly limit: number;
}

const longestMessage = 65_535;
const nothing: Answer = { code: codes.serverFailure, records: [], ttl: 0 };

function parsed(bytes: Uint8Array): Query | undefined {
  try {
    return parseQuery(bytes);
  } catch (err) {
    if (isKind(err, "invalid")) return undefined;
    throw err;
  }
}
