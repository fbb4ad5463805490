import { expect, test } from "bun:test";
import { budgeted, spend, withBudget } from "./budget.ts";
import { inOne, inSlices, type Steps } from "./slices.ts";

function* busy(count: number): Steps<number> {
  for (let done = 0; done < count; done++) {
    for (const until = performance.now() + 1; performance.now() < until; );
    yield;
  }
  return count;
}

test("what takes long lets others have their turn", async () => {
  let turns = 0;
  const counting = setInterval(() => turns++, 1);
  expect(await inSlices(busy(200))).toBe(200);
  clearInterval(counting);
  expect(turns).toBeGreaterThan(5);
});

test("what is short is done before anybody else has a turn", async () => {
  const order: string[] = [];
  const timer = new Promise<void>((resolve) => {
    setImmediate(() => resolve(void order.push("other")));
  });
  await inSlices(busy(1)).then(() => order.push("done"));
  await timer;
  expect(order).toEqual(["done", "other"]);
});

test("an abort ends it between two slices", async () => {
  const abort = new AbortController();
  const running = inSlices(busy(10_000), abort.signal);
  setTimeout(() => abort.abort(new Error("gone")), 1);
  await expect(running).rejects.toThrow("gone");
});

function* spending(amount: number): Steps<void> {
  for (let times = 0; times < 10; times++) {
    spend(amount);
    yield;
  }
}

test("each work has a budget of its own, whatever is done in between", () => {
  const [one, other] = [budgeted(spending(2_900_000)), budgeted(spending(2_900_000))];
  for (let times = 0; times < 11; times++) for (const steps of [one, other]) steps.next();
  expect(() => inOne(budgeted(spending(3_100_000)))).toThrow("too much text");
  withBudget(() => inOne(budgeted(spending(2_900_000))));
});
