import { expect, test } from "bun:test";
import { AgentFilter } from "./agent-filter.ts";

const message = (type: number, rest: readonly number[] = []) => {
  const body = [type, ...rest];
  return Buffer.from([0, 0, 0, body.length, ...body]);
};

test("an agent hears of listing and signing only, however the bytes are cut", () => {
  const filter = new AgentFilter();
  const bytes = Buffer.concat([message(11), message(17, [1, 2]), message(13, [3]), message(19)]);
  const heard: Buffer[] = [];
  let refusals = 0;
  for (const byte of bytes) {
    const { forward, refused } = filter.push(Uint8Array.of(byte));
    heard.push(...forward.map((one) => Buffer.from(one)));
    refusals += refused;
  }
  expect(heard).toEqual([message(11), message(13, [3])]);
  expect(refusals).toBe(2);
});

test("a message that is longer than any is no message", () => {
  expect(() => new AgentFilter().push(Buffer.from([255, 255, 255, 255, 11]))).toThrow("for the ssh agent");
});
