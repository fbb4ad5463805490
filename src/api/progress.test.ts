import { expect, test } from "bun:test";
import { ProgressQueue } from "./progress.ts";

test("a client that does not read costs bounded memory, and still gets the result", async () => {
  const queue = new ProgressQueue();
  const stream = "x".repeat(64 * 1024);
  for (let sent = 0; sent < 4096; sent++) {
    queue.push(sent % 2 === 0 ? { stream } : { aux: { Step: { Id: 1, Event: "output", Text: stream } } });
  }
  queue.push({ aux: { ID: "sha256:1" } });
  queue.push({ stream });
  queue.push({ error: "no", errorDetail: { message: "no" } });
  queue.close();
  const lines = await Array.fromAsync(queue.lines());
  expect(lines.reduce((sum, line) => sum + line.length, 0)).toBeLessThan(20 * 1024 * 1024);
  const [notice, aux, error] = lines.slice(-3).map((line) => JSON.parse(Buffer.from(line).toString()));
  expect(notice.stream).toContain("output clipped");
  expect(aux).toEqual({ aux: { ID: "sha256:1" } });
  expect(error).toMatchObject({ error: "no" });
});

test("what is read is whole, and later lines come again", async () => {
  const queue = new ProgressQueue();
  const lines = queue.lines();
  for (let sent = 0; sent < 1000; sent++) {
    queue.push({ stream: "y".repeat(64 * 1024) });
    expect((await lines.next()).value?.length).toBeGreaterThan(64 * 1024);
  }
  queue.close();
  expect((await lines.next()).done).toBe(true);
});
