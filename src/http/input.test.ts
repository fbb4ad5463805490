import { describe, expect, test } from "bun:test";
import { PassThrough } from "node:stream";
import { Input } from "./input.ts";

describe("gathering", () => {
  test("tells of many small chunks at once, and leaves nothing out", async () => {
    const stream = new PassThrough();
    const reading = pieces(new Input(stream, { gather: true }));
    const sent: number[] = [];
    for (let chunk = 0; chunk < 100; chunk++) {
      sent.push(chunk);
      stream.write(Buffer.of(chunk));
      await turn();
    }
    stream.end();
    const got = await reading;
    expect([...Buffer.concat(got)]).toEqual(sent);
    expect(got.length).toBeLessThan(50);
  });

  test("tells of what came although the sender waits for an answer to it", async () => {
    const stream = new PassThrough();
    const input = new Input(stream, { gather: true })[Symbol.asyncIterator]();
    stream.write("asked");
    expect(String((await input.next()).value)).toBe("asked");
  });

  test("does not wait for more after the end", async () => {
    const stream = new PassThrough();
    const input = new Input(stream, { gather: true });
    stream.end("all");
    expect(String(Buffer.concat(await pieces(input)))).toBe("all");
    expect(input.ended).toBe(true);
  });

  test("without it every chunk is told of as it comes", async () => {
    const stream = new PassThrough();
    const reading = pieces(new Input(stream));
    for (let chunk = 0; chunk < 10; chunk++) {
      stream.write("x");
      await turn();
    }
    stream.end();
    expect(await reading).toHaveLength(10);
  });

  test("a sender who goes away is told of", async () => {
    const stream = new PassThrough();
    const reading = pieces(new Input(stream, { gather: true }));
    stream.write("half");
    await turn();
    stream.destroy();
    expect(await reading.then(() => "", String)).toContain("The client went away in the middle of its request");
  });
});

async function pieces(input: Input): Promise<Uint8Array[]> {
  const got: Uint8Array[] = [];
  for await (const piece of input) got.push(piece);
  return got;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
