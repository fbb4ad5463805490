import { expect, test } from "bun:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { control } from "../../proto/mod.ts";
import { recordFilter } from "./filter.ts";

const now = 1_000_000;
const at = (seconds: number, nanos = 0) => create(control.TimestampSchema, { seconds: BigInt(seconds), nanos });
const record = (more: MessageInitShape<typeof control.BuildHistoryRecordSchema>) =>
  create(control.BuildHistoryRecordSchema, { createdAt: at(now - 60), completedAt: at(now - 50), ...more });
const records = [
  record({ ref: "good", frontendAttrs: { "vcs:source": "https://h.test/one.git" } }),
  record({ ref: "bad", error: { code: 2, message: "it broke" }, completedAt: at(now - 59, 500_000_000) }),
  record({
    ref: "left",
    error: { code: 1, message: "context canceled" },
    frontendAttrs: { context: "https://h/t.git#b" },
  }),
  record({
    ref: "old",
    createdAt: at(now - 7200),
    completedAt: at(now - 7100),
    frontendAttrs: { context: "https://h/x" },
  }),
];

function found(...filters: string[]): string[] {
  return records.filter(recordFilter(filters, BigInt(now) * 1_000_000_000n)).map(({ ref }) => ref);
}

test.each<[string[], string[]]>([
  [[], ["good", "bad", "left", "old"]],
  [[""], ["good", "bad", "left", "old"]],
  [["ref==bad"], ["bad"]],
  [["ref!=bad"], ["good", "left", "old"]],
  [["ref~=^(g|o)"], ["good", "old"]],
  [["ref~=("], []],
  [['"ref==""bad"""'], ["bad"]],
  [["status==completed"], ["good", "old"]],
  [["status==error"], ["bad"]],
  [["status==canceled"], ["left"]],
  [
    ["status==error", "ref==old"],
    ["bad", "old"],
  ],
  [["status==completed,startedAt<1h"], ["old"]],
  [["repository"], ["good", "left"]],
  [["repository~=one"], ["good"]],
  [["repository==https://h/t.git"], ["left"]],
  [["repository!=https://h/t.git"], ["good", "bad", "old"]],
  [["nothing"], []],
  [["startedAt>=1h"], ["good", "bad", "left"]],
  [["startedAt>1970-01-12T13:00:00Z"], ["good", "bad", "left"]],
  [["completedAt<=55s"], ["bad", "old"]],
  [["duration<2s"], ["bad"]],
  [["duration>10s"], ["old"]],
  [["duration>=10s"], ["good", "left", "old"]],
])("%p finds %p", (filters, refs) => {
  expect(found(...filters)).toEqual(refs);
});

test.each(["=", "ref=bad", "==x", '"ref', 'ref=="x', "startedAt>never", "duration<1x", "ref~=(a{900}){900}"])(
  "%p is none",
  (text) => {
    expect(() => found(text)).toThrow(/failed to parse history filter|invalid|duration|unit|time|too large/);
  },
);

test("a client has so many filters", () => {
  expect(() => found(...Array.from({ length: 65 }, () => "ref"))).toThrow("too many history filters");
  expect(() => found(Array.from({ length: 9 }, () => "ref~=x").join(","))).toThrow("too many regular expressions");
  expect(() => found(`ref==${"x".repeat(5000)}`)).toThrow("too many history filters, or one is too long");
});

test("a build that goes on is running, and has not lasted", () => {
  const running = create(control.BuildHistoryRecordSchema, { ref: "r", createdAt: at(5) });
  expect(recordFilter(["status==running,duration<1s,completedAt<=0"], 0n)(running)).toBe(true);
});
