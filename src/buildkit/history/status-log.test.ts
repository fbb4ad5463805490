import { expect, test } from "bun:test";
import { digestOf } from "../../oci/mod.ts";
import { StatusFeed } from "../status.ts";
import { told } from "../testing/door.ts";
import { StatusLog, statusResponses } from "./status-log.ts";

function feedOf(tell: (feed: StatusFeed) => void): StatusFeed {
  const feed = new StatusFeed("r");
  feed.own("[internal] load Dockerfile").end();
  feed.steps([
    { id: 0, text: "FROM base", inputs: [] },
    { id: 1, text: "RUN work", inputs: [0] },
  ]);
  feed.ended(0, { kind: "cached" });
  feed.started(1);
  tell(feed);
  feed.close();
  return feed;
}

test("what a build told is kept as it was, and its steps are counted", async () => {
  const warning = { Rule: "R", Detail: "d", Description: "D", StartLine: 1, EndLine: 1 } as never;
  const feed = feedOf((to) => {
    to.output(1, "working\n");
    to.warned([warning], { name: "Dockerfile", text: "FROM base" });
    to.ended(1, { kind: "failed", message: "no" });
  });
  const log = await StatusLog.of(feed);
  expect([...statusResponses(log.bytes())]).toEqual(await Array.fromAsync(feed.follow()));
  expect(log.counts()).toEqual({ numTotalSteps: 3, numCachedSteps: 1, numCompletedSteps: 3, numWarnings: 1 });
  expect(log.digest()).toBe(digestOf(log.bytes()));
});

test("a log that is too long ends where it is, says so, and still has how every step ended", async () => {
  const piece = "x".repeat(1 << 20);
  const feed = feedOf((to) => {
    for (let at = 0; at < 6; at++) to.output(1, piece);
    to.output(1, "short\n");
    to.ended(1, { kind: "done" });
  });
  const log = await StatusLog.of(feed);
  const { vertices, log: output } = told([...statusResponses(log.bytes())]);
  expect(output.replaceAll(piece, "P")).toBe("PPP\n[the record of this build ends here: its log is too long]\n");
  expect(vertices["[2/2] RUN work"]).toBe("done");
  expect(log.bytes().length).toBeLessThan(5 << 20);
  expect(log.counts()).toMatchObject({ numTotalSteps: 4, numCompletedSteps: 3 }); // the export has begun
});

test("so are builds of very many steps", async () => {
  const log = new StatusLog();
  const feed = new StatusFeed("r");
  const text = "y".repeat(100_000);
  feed.steps(Array.from({ length: 50 }, (_, id) => ({ id, text, inputs: [] })));
  for (let id = 0; id < 50; id++) feed.ended(id, { kind: "done" });
  feed.close();
  for await (const one of feed.follow()) log.add(one);
  expect(log.bytes().length).toBeLessThan(5 << 20);
  expect(log.counts()).toMatchObject({ numTotalSteps: 51, numCompletedSteps: 50 });
});
