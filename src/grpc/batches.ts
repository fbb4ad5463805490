import {
  create,
  type DescMessage,
  type DescMethodBiDiStreaming,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { createMethodUrl, encodeEnvelope, type UniversalClientFn } from "@connectrpc/connect/protocol";
import { requestHeader, validateResponse, validateTrailer } from "@connectrpc/connect/protocol-grpc";
import { EngineError } from "../errors/mod.ts";
import type { Bytes } from "../stream/mod.ts";

export interface BatchedCall<I extends DescMessage> {
  readonly messages: AsyncIterable<readonly MessageInitShape<I>[]>;
  readonly headers: Headers;
  readonly signal: AbortSignal;
}

export interface Limits {
  readonly baseUrl: string;
  /** Bytes. */
  readonly largestMessage: number;
}

/**
 * A call whose messages go and come as many at once as there are, for the transfer of thousands of small ones: Connect's own
 * streams take each of them through a dozen promises, which is most of what a file of a few kilobytes costs. Fails with a ConnectError.
 */
export async function* callInBatches<I extends DescMessage, O extends DescMessage>(
  send: UniversalClientFn,
  method: DescMethodBiDiStreaming<I, O>,
  { baseUrl, largestMessage, messages, headers, signal }: BatchedCall<I> & Limits,
): AsyncGenerator<MessageShape<O>[]> {
  try {
    const url = createMethodUrl(baseUrl, method);
    const header = requestHeader(true, undefined, headers);
    const body = encoded(method.input, messages);
    const answer = await send({ url, method: "POST", header, signal, body });
    const { foundStatus, headerError } = validateResponse(answer.status, answer.header);
    if (headerError) throw headerError;
    const envelopes = new Envelopes(largestMessage);
    for await (const piece of answer.body) {
      const some = envelopes.in(piece).map((bytes) => fromBinary(method.output, bytes));
      if (some.length > 0) yield some;
    }
    if (!foundStatus) validateTrailer(answer.trailer, answer.header);
    envelopes.end();
  } catch (err) {
    throw ConnectError.from(err);
  }
}

async function* encoded<I extends DescMessage>(
  schema: I,
  messages: BatchedCall<I>["messages"],
): Bytes & AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const batch of messages)
    yield Buffer.concat(batch.map((message) => encodeEnvelope(0, toBinary(schema, create(schema, message)))));
}

/** Flags and a length (grpc.io, "gRPC over HTTP2", Length-Prefixed-Message). */
const prefix = 5;

class Envelopes {
  readonly #largest: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(largest: number) {
    this.#largest = largest;
  }

  /** The messages that end in these bytes. */
  in(piece: Uint8Array): Buffer[] {
    const found: Buffer[] = [];
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, piece]) : Buffer.from(piece);
    while (bytes.length >= prefix) {
      const end = prefix + this.#length(bytes);
      if (bytes.length < end) break;
      found.push(bytes.subarray(prefix, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    return found;
  }

  end(): void {
    if (this.#rest.length > 0) throw new EngineError("invalid", "The client ended its call within a message");
  }

  #length(bytes: Buffer): number {
    if (bytes.readUInt8(0) !== 0)
      throw new EngineError("invalid", "The client sent a compressed message, for which nobody asked");
    const length = bytes.readUInt32BE(1);
    if (length > this.#largest)
      throw new EngineError(
        "invalid",
        `The client sent a message of ${length} bytes: at most ${this.#largest} are taken`,
      );
    return length;
  }
}
