import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { RunOptions } from "../../host/mod.ts";
import type { HookedChain } from "../../host/net/ruleset.ts";
import { nullLog } from "../../log/mod.ts";
import { FirewallWatch } from "./watch.ts";

const json = readFileSync(`${import.meta.dir}/testdata/ufw.json`, "utf8");
const filter: HookedChain = { table: "filter", name: "FORWARD", hook: "forward" };

/** A kernel and an nft(8) that are what a test wants. */
function host({
  chains = [filter],
  print = async () => json,
}: {
  chains?: readonly HookedChain[];
  print?: (options?: RunOptions) => Promise<string>;
} = {}) {
  const state = { generation: 1, runs: [] as string[] };
  const watch = new FirewallWatch({
    net: { rulesetGeneration: () => state.generation, hookedChains: () => [...chains] },
    processes: {
      run: async (argv, options) => {
        state.runs.push(argv.join(" "));
        return { code: 0, stdout: await print(options), stderr: "" };
      },
    },
    log: nullLog,
    own: "berth_",
  });
  return { state, watch };
}

/** A ruleset that has just been read is not read again for a while, which depends on how long that took. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(10);
}

describe("the host's firewall", () => {
  test("is read once, and again when its rules have changed", async () => {
    const { state, watch } = host();
    const all = await Promise.all([watch.soon(), watch.soon(), watch.soon()]);
    expect(all.map(({ chains }) => chains.has("ip filter FORWARD"))).toEqual([true, true, true]);
    await watch.soon();
    expect(state.runs).toEqual(["nft -j -s -t list ruleset", "nft -a -s -t list ruleset"]);
    state.generation++;
    await until(async () => {
      await watch.soon();
      return state.runs.length === 4;
    });
  });

  test("where only our own tables filter is none, and nft does not run", async () => {
    const nat: HookedChain = { table: "nat", name: "POSTROUTING", hook: "postrouting" };
    const { state, watch } = host({ chains: [{ ...filter, table: "berth_x" }, nat] });
    expect((await watch.soon()).chains.size).toBe(0);
    expect(state.runs).toEqual([]);
  });

  test("an nft that hangs holds nobody up for long, and what was known before counts meanwhile", async () => {
    let hangs = false;
    const { promise: forever, resolve } = Promise.withResolvers<string>();
    const { state, watch } = host({ print: async () => (hangs ? forever : json) });
    await watch.soon();
    hangs = true;
    state.generation++;
    await until(async () => {
      expect((await watch.soon()).chains.size).toBeGreaterThan(0);
      return state.runs.length === 3; // now it hangs
    });
    resolve('{"nftables":[]}');
    expect((await watch.now()).firewall.chains.size).toBe(0);
  });

  test("a ruleset that is huge, or no ruleset, is said to be so and is none", async () => {
    const huge = host({ print: async () => `{"nftables":["${"x".repeat(2 << 20)}"]}` });
    expect(await huge.watch.now()).toMatchObject({ problem: expect.stringMatching(/^the ruleset has \d+ bytes$/) });
    const broken = host({ print: async () => "no JSON" });
    expect((await broken.watch.now()).problem).toBeDefined();
    const failing = host({ print: () => Promise.reject(new Error("nft: not found")) });
    expect(await failing.watch.now()).toMatchObject({ problem: "nft: not found" });
  });

  test("one that changes all the time is not read all the time", async () => {
    const slow = host({ print: () => Bun.sleep(30).then(() => '{"nftables":[]}') });
    for (let round = 0; round < 20; round++) {
      slow.state.generation++;
      await slow.watch.soon();
    }
    expect(slow.state.runs).toHaveLength(1);
  });
});
