import { expect, test } from "bun:test";
import { LogParser, recordAt, timeOf } from "./record.ts";

function fed(parser: LogParser, text: string | Uint8Array): object[] {
  const records: object[] = [];
  parser.feed(Buffer.from(text), (record) => {
    const { stream, partial, bytes, textStart, textEnd } = record;
    records.push({ time: timeOf(record), stream, partial, text: bytes.toString("utf8", textStart, textEnd) });
  });
  return records;
}

test("log lines come in any pieces, and what conmon did not write is skipped", () => {
  const parser = new LogParser();
  const text = "2024-01-02T03:04:05.000000006+00:00 stdout P par\nbroken\n2024-01-02T04:04:05.1+01:00 stderr F \n";
  expect([...Buffer.from(text)].flatMap((byte) => fed(parser, Uint8Array.of(byte)))).toEqual([
    { time: "2024-01-02T03:04:05.000000006Z", stream: "stdout", partial: true, text: "par" },
    { time: "2024-01-02T03:04:05.100000000Z", stream: "stderr", partial: false, text: "" },
  ]);
});

test("what is no record", () => {
  const time = "2024-01-02T03:04:05.000000006+00:00";
  const record = (line: string) => recordAt(Buffer.from(line), { start: 0, end: Buffer.byteLength(line) });
  for (const odd of ["stdin  F x", "stdout X x", "stdout FX x", "stdout", "stdout ", "stdoutF x", "stdoux F x"]) {
    expect(record(`${time} ${odd}`)).toBeUndefined();
  }
  for (const odd of ["", " ", "a b", "a", time]) expect(record(odd)).toBeUndefined();
  expect(record(`${time} stdout F`)).toMatchObject({ textStart: 44, textEnd: 44 });
  expect(record(`${time} stderr P  two`)).toMatchObject({
    stream: "stderr",
    partial: true,
    textStart: 45,
    textEnd: 49,
  });
});

test("what another file begins with does not continue the last line of this one", () => {
  const parser = new LogParser();
  expect(fed(parser, "2024-01-02T03:04:05.000000006+00:00 stdout F cut")).toEqual([]);
  parser.reset();
  expect(fed(parser, "2024-01-02T03:04:06.000000006+00:00 stdout F whole\n")).toMatchObject([{ text: "whole" }]);
});

test("a line without an end does not fill the memory", () => {
  const parser = new LogParser();
  for (let block = 0; block < 40; block++) expect(fed(parser, Buffer.alloc(64 * 1024, 120))).toEqual([]);
  const records = fed(parser, "\n2024-01-02T03:04:06.000000006+00:00 stdout F next\n");
  expect(records).toMatchObject([{ text: "next" }]);
});
