import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { nullLog } from "../log/mod.ts";
import { Spare } from "./spare.ts";
import { leftovers, type Machine, openMachine, until } from "./testing/fixture.ts";

let machine: Machine;
beforeEach(async () => {
  machine = await openMachine();
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
});

const directory = () => `${machine.config.execRoot}/netns`;
const spares = () => readdirSync(directory()).filter((name) => name.startsWith("+"));

/** The inode of the namespace itself, which the file gets only when it is bound. */
async function madeSpare(): Promise<number> {
  const own = statSync("/proc/self/ns/net").dev;
  const bound = () => spares().find((name) => statSync(`${directory()}/${name}`).dev === own);
  await until(() => bound() !== undefined);
  return statSync(`${directory()}/${bound()}`).ino;
}

test("a sandbox gets the spare namespace, the next one its own, and then there is a spare again", async () => {
  const made = await madeSpare();
  const [a, b] = await Promise.all(["a", "b"].map((holder) => machine.networks.openSandbox(holder)));
  const inodes = [a, b].map((sandbox) => statSync(sandbox?.path ?? "").ino);
  expect(inodes[0]).toBe(made);
  expect(inodes[1]).not.toBe(made);
  const again = await madeSpare();
  expect(inodes).not.toContain(again);
  expect(spares()).toHaveLength(1);
});

test("a crash leaves at most one, which the next start removes; a shutdown leaves none though somebody is connected", async () => {
  const before = await madeSpare();
  await machine.networks.openSandbox("a");
  await machine.networks.connect("bridge", { holder: "a", name: "a" });
  await madeSpare();
  await machine.restart(["a"]);
  expect(await madeSpare()).not.toBe(before);
  expect(spares()).toHaveLength(1);
  await machine.networks.shutdown();
  expect(readdirSync(directory())).toEqual(["a"]);
});

test("without a spare, or with one that is broken, a sandbox is made or says why not", async () => {
  const calls: string[] = [];
  let fails = true;
  const net = {
    createNamespace: async (path: string) => {
      calls.push(`create ${path}`);
      if (fails) throw new EngineError("unavailable", "no unshare");
    },
    moveNamespace: (from: string, to: string) => {
      calls.push(`move ${from} ${to}`);
      throw new EngineError("internal", "gone");
    },
    removeNamespace: (path: string) => void calls.push(`remove ${path}`),
  };
  const spare = new Spare({ net, directory: "/d", log: nullLog });
  spare.prepare();
  await expect(spare.place("/d/a")).rejects.toThrow("no unshare");
  fails = false;
  await spare.place("/d/b");
  spare.prepare();
  await expect(spare.place("/d/c")).rejects.toThrow("gone");
  await spare.close();
  expect(calls).toEqual([
    "create /d/+0",
    "create /d/a",
    "create /d/b",
    "create /d/+1",
    "move /d/+1 /d/c",
    "remove /d/+1",
  ]);
});
