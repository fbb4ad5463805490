import { expect, test } from "bun:test";
import { mostDecompressed, withoutBomb } from "./bomb.ts";

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(64 * 1024 * 1024);
  for (let at = 0; at < count; at++) yield piece;
}

async function passed(count: number, compressed: number): Promise<number> {
  let size = 0;
  for await (const piece of withoutBomb(pieces(count), () => compressed)) size += piece.length;
  return size;
}

test("a GiB is no harm, and more must come of enough", async () => {
  expect(await passed(16, 1)).toBe(1024 ** 3);
  expect(await passed(17, 10_000_000)).toBe(17 * 64 * 1024 ** 2);
  expect(mostDecompressed(10_000_000)).toBe(2_000_000_000);
  const failure = await passed(1000, 1000).catch((err: Error) => err.message);
  expect(failure).toBe("an archive decompresses to more than 200 times its 1000 bytes, which is refused");
});
