import { describe, expect, test } from "bun:test";
import { codes, encodeAnswer, encodeName, encodeTruncated, parseQuery, reversed, types } from "./message.ts";

/** As a stub resolver sends it. */
function queryBytes(name: string, { type = types.A as number, opt = 0, flags = 0x0100 } = {}): Buffer {
  const header = Buffer.from([0xab, 0xcd, flags >> 8, flags & 0xff, 0, 1, 0, 0, 0, 0, 0, opt ? 1 : 0]);
  const question = Buffer.concat([encodeName(name), Buffer.from([0, type, 0, 1])]);
  const record = opt ? Buffer.from([0, 0, types.OPT, opt >> 8, opt & 0xff, 0, 0, 0, 0, 0, 0]) : Buffer.alloc(0);
  return Buffer.concat([header, question, record]);
}

describe("parseQuery", () => {
  test("reads name, type and what the client takes", () => {
    const query = parseQuery(queryBytes("Web.Example", { type: types.AAAA, opt: 1232 }));
    expect(query).toMatchObject({ id: 0xabcd, recursionDesired: true, size: 1232 });
    expect(query.question).toMatchObject({ name: "web.example", type: types.AAAA, class: 1 });
  });

  test("without OPT the client takes 512 bytes, and never less", () => {
    expect(parseQuery(queryBytes("a")).size).toBe(512);
    expect(parseQuery(queryBytes("a", { opt: 100 })).size).toBe(512);
  });

  test("finds OPT behind other records, whose names may point anywhere", () => {
    const before = Buffer.from([0xc0, 0xff, 0, 1, 0, 1, 0, 0, 0, 0, 0, 2, 1, 2]);
    const bytes = queryBytes("a", { opt: 1400 });
    const at = bytes.length - 11;
    const both = Buffer.concat([bytes.subarray(0, at), before, bytes.subarray(at)]);
    both.writeUInt16BE(2, 10);
    expect(parseQuery(both)).toMatchObject({ size: 1400, edns: 0 });
  });

  test("what is wrong behind the question is left alone, and nobody makes it allocate much", () => {
    const many = queryBytes("a");
    many.writeUInt16BE(65_535, 6);
    expect(parseQuery(many).size).toBe(512);
    const behind = Buffer.concat([many, Buffer.alloc(60_000, 63)]);
    expect(parseQuery(behind).size).toBe(512);
    expect(parseQuery(queryBytes("a", { opt: 65_535 })).size).toBe(4096);
  });

  test("refuses what is no query", () => {
    const bad: Record<string, Uint8Array> = {
      empty: Buffer.alloc(0),
      header: queryBytes("a").subarray(0, 12),
      answer: queryBytes("a", { flags: 0x8180 }),
      "other operation": queryBytes("a", { flags: 0x2800 }),
      "no question": Buffer.alloc(12),
      "cut off": queryBytes("abc").subarray(0, 15),
      compressed: Buffer.concat([queryBytes("").subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]),
      "name without an end": Buffer.concat([queryBytes("").subarray(0, 12), Buffer.alloc(400, 1)]),
    };
    for (const [what, bytes] of Object.entries(bad)) expect(() => parseQuery(bytes), what).toThrow("Bad DNS query");
  });
});

test("twenty thousand broken queries are refused or read, and never anything else", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return seed % below;
  };
  const kinds = { read: 0, refused: 0 };
  for (let round = 0; round < 20_000; round++) {
    const bytes = queryBytes("web.example.org", { opt: round % 2 ? 1232 : 0 });
    for (let change = random(4); change >= 0; change--) bytes[random(bytes.length)] = random(256);
    const cut = bytes.subarray(0, round % 3 ? bytes.length : random(bytes.length));
    try {
      const query = parseQuery(cut);
      const records = ["10.0.0.5", "fd00::5"];
      const answer = encodeAnswer(query, { answer: { code: codes.ok, records, ttl: 1 }, limit: query.size });
      expect(answer.length).toBeLessThanOrEqual(query.size);
      kinds.read++;
    } catch (err) {
      expect(err).toMatchObject({ kind: "invalid" });
      kinds.refused++;
    }
  }
  expect(kinds.read).toBeGreaterThan(1000);
  expect(kinds.refused).toBeGreaterThan(1000);
});

describe("encodeAnswer", () => {
  const query = parseQuery(queryBytes("web"));

  test("repeats the question and points to its name", () => {
    const bytes = encodeAnswer(query, { answer: { code: codes.ok, records: ["10.0.0.5"], ttl: 600 }, limit: 512 });
    expect(bytes.toString("hex")).toBe(
      "abcd8180000100010000000003776562000001" + "0001" + "c00c0001000100000258" + "0004" + "0a000005",
    );
  });

  test("leaves out what does not fit, and says so", () => {
    const records = Array.from({ length: 100 }, (_, at) => `10.0.0.${at}`);
    const cut = encodeAnswer(query, { answer: { code: codes.ok, records, ttl: 1 }, limit: 512 });
    expect(cut.length).toBeLessThanOrEqual(512);
    expect(cut.readUInt16BE(2) & 0x200).toBe(0x200);
    expect(cut.readUInt16BE(6)).toBe(Math.floor((512 - 12 - 9) / 16));
    const whole = encodeAnswer(query, { answer: { code: codes.ok, records, ttl: 1 }, limit: 65_535 });
    expect(whole.readUInt16BE(6)).toBe(100);
    expect(whole.readUInt16BE(2) & 0x200).toBe(0);
  });

  test("IPv6 addresses and names", () => {
    const six = parseQuery(queryBytes("web", { type: types.AAAA }));
    const answer = encodeAnswer(six, { answer: { code: codes.ok, records: ["fd00::1:2"], ttl: 1 }, limit: 512 });
    expect(answer.subarray(-16).toString("hex")).toBe("fd000000000000000000000000010002");
    const back = parseQuery(queryBytes("5.0.0.10.in-addr.arpa", { type: types.PTR }));
    const name = encodeAnswer(back, { answer: { code: codes.ok, records: ["web.net"], ttl: 1 }, limit: 512 });
    expect(name.subarray(-9).toString("latin1")).toBe("\x03web\x03net\0");
  });
});

describe("EDNS", () => {
  const answer = { code: codes.ok, records: ["10.0.0.5"], ttl: 1 };

  test("who sends an OPT record gets one, with room for it", () => {
    const bytes = encodeAnswer(parseQuery(queryBytes("web", { opt: 1232 })), { answer, limit: 1232 });
    expect(bytes.readUInt16BE(10)).toBe(1);
    expect(bytes.subarray(-11).toString("hex")).toBe("0000291000000000000000");
    const tight = parseQuery(queryBytes("web", { opt: 1232 }));
    const limit = 12 + tight.question.bytes.length + 16 + 10;
    expect(encodeAnswer(tight, { answer, limit }).readUInt16BE(6)).toBe(0);
  });

  test("a version that nobody knows is told so", () => {
    const bytes = queryBytes("web", { opt: 1232 });
    bytes[bytes.length - 5] = 1;
    const told = encodeAnswer(parseQuery(bytes), { answer, limit: 1232 });
    expect([told.readUInt16BE(2) & 15, told.readUInt16BE(6), told.at(-6)]).toEqual([0, 0, 1]);
  });
});

test("ANY has both kinds of addresses, each with its type", () => {
  const any = parseQuery(queryBytes("web", { type: types.ANY }));
  const answer = { code: codes.ok, records: ["10.0.0.5", "fd00::5"], ttl: 1 };
  const bytes = encodeAnswer(any, { answer, limit: 512 });
  const first = 12 + any.question.bytes.length;
  expect([bytes.readUInt16BE(first + 2), bytes.readUInt16BE(first + 18)]).toEqual([types.A, types.AAAA]);
});

test("an answer that is too large is only announced", () => {
  const bytes = encodeTruncated(parseQuery(queryBytes("web")));
  expect(bytes.toString("hex")).toBe("abcd83800001000000000000037765620000010001");
});

test("reversed gives the address of IPv6 in its canonical form", () => {
  const digits = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f";
  expect(reversed(`${digits}.ip6.arpa`)).toBe("fd00::5");
  expect(reversed(`${digits.slice(2)}.ip6.arpa`)).toBeUndefined();
});

test("reversed gives the address, and nothing for other names", () => {
  expect(reversed("5.0.0.10.in-addr.arpa")).toBe("10.0.0.5");
  for (const name of ["10.in-addr.arpa", "web", "x.0.0.10.in-addr.arpa", ""]) expect(reversed(name)).toBeUndefined();
});
