import { expect, test } from "bun:test";
import { nullLog } from "../log/mod.ts";
import { CacheBudget } from "./budget.ts";

test("one time after the other, and once for all that was asked meanwhile; a failure is no end", async () => {
  const turns: PromiseWithResolvers<void>[] = [];
  const prune = (most: number) => {
    expect(most).toBe(5);
    const turn = Promise.withResolvers<void>();
    turns.push(turn);
    return turn.promise;
  };
  const budget = new CacheBudget({ most: 5, log: nullLog, prune });
  for (let count = 0; count < 3; count++) budget.check();
  expect(turns).toHaveLength(1);
  budget.check();
  turns[0]?.reject(new Error("disk"));
  await Bun.sleep(1);
  expect(turns).toHaveLength(2);
  turns[1]?.resolve();
  await Bun.sleep(1);
  budget.check();
  expect(turns).toHaveLength(3);
  turns[2]?.resolve();
  new CacheBudget({ most: 0, log: nullLog, prune }).check();
  expect(turns).toHaveLength(3);
});
