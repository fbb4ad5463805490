import { EngineError } from "../../errors/mod.ts";
import { bytes6 } from "../address6.ts";

/** RFC 1035, 4.1: as much of a query as a resolver for names of containers looks at. */
export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  readonly question: Question;
  /** What the client takes by UDP, in bytes: 512, or what its OPT record says (RFC 6891). */
  readonly size: number;
}

export interface Question {
  /** Lower case, without the dot at its end; "" is the root. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** As it stood in the query, which its answer repeats to the letter (RFC 1035, 4.1.2). */
  readonly bytes: Uint8Array;
}

export const types = { A: 1, PTR: 12, AAAA: 28, OPT: 41 } as const;
export const classIn = 1;
export const codes = { ok: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4, refused: 5 } as const;
export type Code = (typeof codes)[keyof typeof codes];

const headerSize = 12;
const flagBits = {
  response: 0x8000,
  opcode: 0x7800,
  authoritative: 0x400,
  truncated: 0x200,
  recursion: 0x100,
  available: 0x80,
};
const smallest = 512;

/** Throws "invalid" for what is no query: an answer, another operation than QUERY, none or several questions, a name out of bounds. */
export function parseQuery(bytes: Uint8Array): Query {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < headerSize) throw invalid("shorter than a header");
  const flags = view.readUInt16BE(2);
  if (flags & (flagBits.response | flagBits.opcode)) throw invalid("not a query");
  if (view.readUInt16BE(4) !== 1) throw invalid("not one question");
  const { name, end } = readName(view, headerSize);
  if (end + 4 > view.length) throw invalid("truncated question");
  const question = {
    name,
    type: view.readUInt16BE(end),
    class: view.readUInt16BE(end + 2),
    bytes: view.subarray(headerSize, end + 4),
  };
  const recursionDesired = (flags & flagBits.recursion) !== 0;
  return { id: view.readUInt16BE(0), recursionDesired, question, size: payloadSize(view, end + 4) };
}

/** A question's name comes first in a message, so there is nothing yet that it could point back to. */
function readName(view: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  for (let at = start; ; ) {
    const length = view[at];
    if (length === undefined || at - start > 255) throw invalid("a name without an end");
    if (length === 0) return { name: labels.join(".").toLowerCase(), end: at + 1 };
    if (length > 63) throw invalid("a compressed name in a question");
    labels.push(view.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** Only where the OPT record follows the question at once, as every stub resolver sends it. */
function payloadSize(view: Buffer, at: number): number {
  const records = view.readUInt16BE(6) + view.readUInt16BE(8);
  const hasOpt = records === 0 && view.readUInt16BE(10) > 0 && at + 5 <= view.length && view[at] === 0;
  if (!hasOpt || view.readUInt16BE(at + 1) !== types.OPT) return smallest;
  return Math.max(smallest, view.readUInt16BE(at + 3));
}

export interface Answer {
  readonly code: Code;
  /** Of the question's type, for the question's name: addresses, or for PTR names. */
  readonly records: readonly string[];
  /** Seconds. */
  readonly ttl: number;
}

/** The answer's message; records that do not fit into `limit` bytes are left out, which the message then says (TC). */
export function encodeAnswer(query: Query, { answer, limit }: { answer: Answer; limit: number }): Buffer {
  const { question } = query;
  const records = answer.records.map((record) => encodeRecord(question, { record, ttl: answer.ttl }));
  const fitting = firstThatFit(records, limit - headerSize - question.bytes.length);
  const truncated = fitting.length < records.length ? flagBits.truncated : 0;
  const recursion = query.recursionDesired ? flagBits.recursion : 0;
  const header = Buffer.alloc(headerSize);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(flagBits.response | flagBits.available | recursion | truncated | answer.code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(fitting.length, 6);
  return Buffer.concat([header, question.bytes, ...fitting]);
}

function firstThatFit(records: readonly Buffer[], room: number): readonly Buffer[] {
  let size = 0;
  const over = records.findIndex((record) => {
    size += record.length;
    return size > room;
  });
  return over < 0 ? records : records.slice(0, over);
}

/** The name is a pointer to the question's. */
function encodeRecord({ type }: Question, { record, ttl }: { record: string; ttl: number }): Buffer {
  const data = type === types.PTR ? encodeName(record) : addressBytes(record);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | headerSize, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(classIn, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

export function encodeName(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, "latin1").subarray(0, 63);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  return Buffer.concat([...parts, Buffer.of(0)]);
}

function addressBytes(address: string): Buffer {
  return address.includes(":") ? bytes6(address) : Buffer.from(address.split(".").map(Number));
}

/** The address that a name below in-addr.arpa stands for; undefined for any other name. */
export function reversed(name: string): string | undefined {
  const [, text] = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name) ?? [];
  return text?.split(".").slice(0, 4).reverse().join(".");
}

function invalid(why: string): EngineError {
  return new EngineError("invalid", `Bad DNS query: ${why}`);
}
