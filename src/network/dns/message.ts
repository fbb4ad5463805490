import { EngineError } from "../../errors/mod.ts";
import { bytes6, formatAddress6, parseAddress6 } from "../address6.ts";

/** RFC 1035, 4.1: as much of a query as a resolver for names of containers looks at. */
export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  readonly question: Question;
  /** What the client takes by UDP, in bytes: 512, or what its OPT record says, up to {@link largestDatagram}. */
  readonly size: number;
  /** The version of its OPT record (RFC 6891), undefined for a client that sends none and wants none back. */
  readonly edns?: number;
}

export interface Question {
  /** Lower case, without the dot at its end; "" is the root. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** As it stood in the query, which its answer repeats to the letter (RFC 1035, 4.1.2). */
  readonly bytes: Uint8Array;
}

export const types = { A: 1, PTR: 12, AAAA: 28, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const;
export const classIn = 1;
export const codes = { ok: 0, formatError: 1, serverFailure: 2, noSuchName: 3, notImplemented: 4, refused: 5 } as const;
/** RFC 6891, 9: a code of more than four bits, the upper ones in the OPT record. */
const badVersion = 16;
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
/** RFC 6891, 6.2.5; a network of containers has no path that would lose the pieces of it. */
export const largestDatagram = 4096;
/** Records behind the question that are looked at for an OPT; a query has one or two. */
const recordsMost = 16;

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
  return { id: view.readUInt16BE(0), recursionDesired, question, ...optOf(view, end + 4) };
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

/** What the OPT record among the query's records says; what cannot be read there is left alone, since the question was whole. */
function optOf(view: Buffer, start: number): Pick<Query, "size" | "edns"> {
  const count = view.readUInt16BE(6) + view.readUInt16BE(8) + view.readUInt16BE(10);
  let at = start;
  for (let number = 0; number < Math.min(count, recordsMost); number++) {
    const root = view[at] === 0;
    const fixed = nameEnd(view, at);
    if (fixed === undefined || fixed + 10 > view.length) break;
    if (root && view.readUInt16BE(fixed) === types.OPT) {
      const size = Math.min(largestDatagram, Math.max(smallest, view.readUInt16BE(fixed + 2)));
      return { size, edns: view.readUInt8(fixed + 5) };
    }
    at = fixed + 10 + view.readUInt16BE(fixed + 8);
  }
  return { size: smallest };
}

/** Where a record's name ends, which may point elsewhere; nobody follows it there, so that it cannot lead in circles. */
function nameEnd(view: Buffer, start: number): number | undefined {
  for (let at = start; at - start <= 255; ) {
    const length = view[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
  return undefined;
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
  const known = query.edns === undefined || query.edns === 0;
  const opt = query.edns === undefined ? [] : [optRecord(known)];
  const records = known ? answer.records.map((record) => encodeRecord(question, { record, ttl: answer.ttl })) : [];
  const room = limit - headerSize - question.bytes.length - (opt[0]?.length ?? 0);
  const fitting = firstThatFit(records, room);
  const truncated = fitting.length < records.length ? flagBits.truncated : 0;
  const header = headerOf(query, truncated | (known ? answer.code : codes.ok));
  header.writeUInt16BE(fitting.length, 6);
  header.writeUInt16BE(opt.length, 10);
  return Buffer.concat([header, question.bytes, ...fitting, ...opt]);
}

/** In place of an answer that is larger than what the client takes: it asks again by TCP. */
export function encodeTruncated(query: Query): Buffer {
  return Buffer.concat([headerOf(query, flagBits.truncated), query.question.bytes]);
}

function headerOf(query: Query, flags: number): Buffer {
  const recursion = query.recursionDesired ? flagBits.recursion : 0;
  const header = Buffer.alloc(headerSize);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(flagBits.response | flagBits.available | recursion | flags, 2);
  header.writeUInt16BE(1, 4);
  return header;
}

/** Who sends one gets one (RFC 6891, 6.1.1); for a version that nobody here knows it says BADVERS, whose upper bits are here. */
function optRecord(known: boolean): Buffer {
  const record = Buffer.alloc(11);
  record.writeUInt16BE(types.OPT, 1);
  record.writeUInt16BE(largestDatagram, 3);
  if (!known) record.writeUInt8(badVersion >> 4, 5);
  return record;
}

function firstThatFit(records: readonly Buffer[], room: number): readonly Buffer[] {
  let size = 0;
  const over = records.findIndex((record) => {
    size += record.length;
    return size > room;
  });
  return over < 0 ? records : records.slice(0, over);
}

/** The name is a pointer to the question's. Addresses of both kinds are what ANY gets. */
function encodeRecord({ type }: Question, { record, ttl }: { record: string; ttl: number }): Buffer {
  const data = type === types.PTR ? encodeName(record) : addressBytes(record);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | headerSize, 0);
  head.writeUInt16BE(type === types.ANY ? (record.includes(":") ? types.AAAA : types.A) : type, 2);
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

/** The address that a name below in-addr.arpa or ip6.arpa stands for, in its canonical form; undefined for any other name. */
export function reversed(name: string): string | undefined {
  const [, four] = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name) ?? [];
  if (four !== undefined) return four.split(".").slice(0, 4).reverse().join(".");
  const [, six] = /^((?:[\da-f]\.){32})ip6\.arpa$/.exec(name) ?? [];
  const digits = six?.replaceAll(".", "").split("").reverse().join("");
  const address = digits && parseAddress6(digits.replace(/.{4}(?!$)/g, "$&:"));
  return typeof address === "bigint" ? formatAddress6(address) : undefined;
}

/** The code of a message, for what is to be looked at and passed on. */
export function codeOf(message: Uint8Array): number {
  return (message[3] ?? 0) & 0xf;
}

function invalid(why: string): EngineError {
  return new EngineError("invalid", `Bad DNS query: ${why}`);
}
