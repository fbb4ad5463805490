import { afterEach, expect, test } from "bun:test";
import { nullLog } from "../../log/mod.ts";
import { until } from "../testing/fixture.ts";
import { Keeper } from "./keeper.ts";

type Watcher = Parameters<ConstructorParameters<typeof Keeper>[0]["net"]["watchRuleset"]>[0];

let keeper: Keeper | undefined;
afterEach(() => keeper?.[Symbol.asyncDispose]());

/** A kernel that tells what the test says. */
async function keeping(repair: (count: number) => Promise<void> = async () => undefined) {
  const state = { watchers: [] as Watcher[], repairs: 0, warnings: [] as string[], fails: false };
  keeper = new Keeper({
    net: {
      watchRuleset: async (watcher) => {
        if (state.fails) throw new Error("no such group");
        state.watchers.push(watcher);
        return { [Symbol.dispose]: () => watcher.ended() };
      },
    },
    log: { ...nullLog, warn: (message) => void state.warnings.push(message) },
    repair: () => repair(++state.repairs),
  });
  await keeper.open();
  return state;
}

test("many changes are one look, a change during a look is another", async () => {
  const state = await keeping(async (count) => {
    if (count === 1) state.watchers[0]?.changed();
  });
  for (let count = 0; count < 100; count++) state.watchers[0]?.changed();
  await until(() => state.repairs === 2);
  await Bun.sleep(700);
  expect(state.repairs).toBe(2);
});

test("a watch that ends is opened again, and what it may have missed is looked at", async () => {
  const state = await keeping();
  state.watchers[0]?.ended();
  await until(() => state.repairs === 1);
  expect(state.watchers).toHaveLength(2);
  state.fails = true;
  state.watchers[1]?.ended();
  await until(() => state.repairs === 2);
  expect(state.warnings).toEqual([expect.stringContaining("Watch the nft ruleset")]);
});

test("a repair that fails is told, and the next change tries again", async () => {
  const state = await keeping((count) => (count === 1 ? Promise.reject(new Error("nft")) : Promise.resolve()));
  state.watchers[0]?.changed();
  await until(() => state.warnings.length === 1);
  state.watchers[0]?.changed();
  await until(() => state.repairs === 2);
});

test("closing waits for a repair that has begun, and prevents one that has not", async () => {
  const going = Promise.withResolvers<void>();
  const state = await keeping(() => going.promise);
  state.watchers[0]?.changed();
  await until(() => state.repairs === 1);
  let closed = false;
  const closing = keeper?.[Symbol.asyncDispose]().then(() => {
    closed = true;
  });
  await Bun.sleep(10);
  expect(closed).toBe(false);
  going.resolve();
  await closing;
  const other = await keeping();
  other.watchers[0]?.changed();
  await keeper?.[Symbol.asyncDispose]();
  expect(other.repairs).toBe(0);
});
