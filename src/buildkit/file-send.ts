import type { DescMethodBiDiStreaming } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Bell } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { filesync, fsutil, packetType, statOf } from "../proto/mod.ts";
import { type Bytes, inPieces, readTar, type TarEntry } from "../stream/mod.ts";
import { type Session, told } from "./session.ts";

const method = "/moby.filesync.v1.FileSend/DiffCopy";

/** Bytes in one message; Go's clients take 4 MiB. */
const pieceSize = 256 * 1024;

export interface Sending {
  readonly signal: AbortSignal;
  /** Of the output among the build's. */
  readonly index: number;
}

/** By which a client that asked for several outputs tells them apart (BuildKit session/filesync). */
function headersOf({ index }: Sending) {
  return { "buildkit-attachable-exporter-id": `${index}` };
}

/** One file, such as an archive, for the client to write where its user wants it. */
export async function sendFile(session: Session, bytes: Bytes, sending: Sending): Promise<void> {
  requireTaker(session);
  const { signal } = sending;
  try {
    const options = { signal, headers: headersOf(sending) };
    for await (const _ of session.caller.client(filesync.FileSend).diffCopy(messages(bytes), options));
  } catch (err) {
    signal.throwIfAborted();
    throw told(err, "the client did not take the build's result");
  }
}

async function* messages(bytes: Bytes) {
  for await (const piece of bytes) {
    for (const data of inPieces(piece, pieceSize)) yield { data };
  }
}

function requireTaker(session: Session): void {
  if (!session.supports(method))
    throw new EngineError("invalid", "the client takes no files: name where the output goes");
}

/** The same method with fsutil's packets: which of the two it is, only the client knows, who has asked for the output. */
const packets = {
  ...filesync.FileSend.method.diffCopy,
  input: fsutil.PacketSchema,
  output: fsutil.PacketSchema,
} satisfies DescMethodBiDiStreaming;
export const directorySend = { ...filesync.FileSend, methods: [packets], method: { diffCopy: packets } };

/** An archive's entries as files for the client to write below a directory of its own. */
export async function sendDirectory(session: Session, tar: Bytes, to: Sending): Promise<void> {
  requireTaker(session);
  const { signal } = to;
  const requests = new Requests();
  try {
    const client = session.caller.client(directorySend);
    const answers = client.diffCopy(sending(readTar(tar), requests), {
      signal,
      headers: headersOf(to),
    }) as AsyncIterable<fsutil.Packet>;
    await requests.follow(answers);
  } catch (err) {
    signal.throwIfAborted();
    throw told(err, "the client did not take the build's result");
  }
}

/** What the client has asked for and not got. */
class Requests {
  readonly #asked: number[] = [];
  #over = false;
  readonly #changed = new Bell();

  /** Whether the client has all that it wants. */
  get over(): boolean {
    return this.#over;
  }

  take(): number | undefined {
    return this.#asked.shift();
  }

  next(): Promise<void> {
    return this.#asked.length > 0 || this.#over ? Promise.resolve() : this.#changed.rung;
  }

  async follow(answers: AsyncIterable<fsutil.Packet>): Promise<void> {
    try {
      for await (const { type, id, data } of answers) {
        if (type === packetType.request) this.#asked.push(id);
        else if (type === packetType.error) throw new EngineError("invalid", Buffer.from(data).toString("utf8"));
        else if (type === packetType.finish) this.#over = true;
        this.#changed.ring();
      }
    } finally {
      this.#over = true;
      this.#changed.ring();
    }
  }
}

/** Bytes of small files that are listed and wait for the client to ask for them. */
const mostHeld = 8 * 1024 * 1024;
const small = 1024 * 1024;

/**
 * Lists the archive's entries and sends what is asked for. An archive is read once, from front to back: small files wait in
 * memory until the client wants them, a large one is sent before anything after it is listed.
 */
async function* sending(entries: AsyncIterable<TarEntry>, requests: Requests): AsyncGenerator<fsutil.Packet> {
  const held = new Map<number, Uint8Array>();
  let size = 0;
  let id = 0;
  const answer = function* (asked: number) {
    const bytes = held.get(asked);
    if (!bytes) throw new EngineError("invalid", `the client asked for file ${asked}, which it cannot have`);
    held.delete(asked);
    size -= bytes.length;
    yield* contents(asked, bytes);
  };
  for await (const { header, content } of entries) {
    const stat = statOf(header);
    if (!stat) continue;
    yield create(fsutil.PacketSchema, { type: packetType.stat, stat });
    if (header.type === "file" && header.size > small) yield* large({ id, content, requests, answer });
    else if (header.type === "file") held.set(id, await bytesOf(content));
    size += held.get(id)?.length ?? 0;
    id++;
    for (let asked = requests.take(); asked !== undefined; asked = requests.take()) yield* answer(asked);
    while (size > mostHeld && !requests.over) yield* one(requests, answer);
  }
  yield create(fsutil.PacketSchema, { type: packetType.stat });
  while (!requests.over) yield* one(requests, answer);
  yield create(fsutil.PacketSchema, { type: packetType.finish });
}

type Answer = (asked: number) => Iterable<fsutil.Packet>;

async function* one(requests: Requests, answer: Answer): AsyncGenerator<fsutil.Packet> {
  await requests.next();
  const asked = requests.take();
  if (asked !== undefined) yield* answer(asked);
}

interface Large {
  readonly id: number;
  readonly content: Bytes;
  readonly requests: Requests;
  readonly answer: Answer;
}

async function* large({ id, content, requests, answer }: Large): AsyncGenerator<fsutil.Packet> {
  for (;;) {
    await requests.next();
    if (requests.over) return;
    const asked = requests.take();
    if (asked === id) break;
    if (asked !== undefined) yield* answer(asked);
  }
  for await (const piece of content) yield* pieces(id, piece);
  yield create(fsutil.PacketSchema, { type: packetType.data, id });
}

function* contents(id: number, bytes: Uint8Array): Generator<fsutil.Packet> {
  yield* pieces(id, bytes);
  yield create(fsutil.PacketSchema, { type: packetType.data, id });
}

function* pieces(id: number, bytes: Uint8Array): Generator<fsutil.Packet> {
  for (const data of inPieces(bytes, pieceSize)) yield create(fsutil.PacketSchema, { type: packetType.data, id, data });
}

async function bytesOf(content: Bytes): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(content));
}
