import { expect, test } from "bun:test";
import { endsLine, LogParser, parseRecord } from "./record.ts";

test("log lines come in any pieces, and what conmon did not write is skipped", () => {
  const parser = new LogParser();
  const text = "2024-01-02T03:04:05.000000006+00:00 stdout P par\nbroken\n2024-01-02T04:04:05.1+01:00 stderr F \n";
  const records = [...Buffer.from(text)].flatMap((byte) => parser.feed(Uint8Array.of(byte)));
  expect(records.map((record) => ({ ...record, text: Buffer.from(record.text).toString() }))).toEqual([
    { time: "2024-01-02T03:04:05.000000006Z", stream: "stdout", partial: true, text: "par" },
    { time: "2024-01-02T03:04:05.100000000Z", stream: "stderr", partial: false, text: "" },
  ]);
});

test("what is no record", () => {
  const time = "2024-01-02T03:04:05.000000006+00:00";
  for (const line of [
    "",
    " ",
    "a b",
    `${time} stdin F x`,
    `${time} stdout X x`,
    `${time} stdout FX x`,
    `${time} stdout`,
  ]) {
    expect(parseRecord(Buffer.from(line))).toBeUndefined();
    expect(endsLine(Buffer.from(line))).toBeUndefined();
  }
  expect(parseRecord(Buffer.from(`${time} stdout F`))?.text).toHaveLength(0);
  expect(parseRecord(Buffer.from(`${time} stdout F  two`))?.text).toEqual(Buffer.from(" two"));
});

test("what another file begins with does not continue the last line of this one", () => {
  const parser = new LogParser();
  expect(parser.feed(Buffer.from("2024-01-02T03:04:05.000000006+00:00 stdout F cut"))).toEqual([]);
  parser.reset();
  const [record] = parser.feed(Buffer.from("2024-01-02T03:04:06.000000006+00:00 stdout F whole\n"));
  expect(Buffer.from(record?.text ?? []).toString()).toBe("whole");
});

test("a line without an end does not fill the memory", () => {
  const parser = new LogParser();
  for (let block = 0; block < 40; block++) expect(parser.feed(Buffer.alloc(64 * 1024, 120))).toEqual([]);
  const [record] = parser.feed(Buffer.from("\n2024-01-02T03:04:06.000000006+00:00 stdout F next\n"));
  expect(Buffer.from(record?.text ?? []).toString()).toBe("next");
});
