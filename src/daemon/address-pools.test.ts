import { expect, test } from "bun:test";
import { readAddressPools } from "./address-pools.ts";

test("pools are read from flags, else from the configuration file", () => {
  const file = [{ base: "10.0.0.0/8", size: 24 }];
  expect(readAddressPools([], undefined)).toBeUndefined();
  expect(readAddressPools([], file)).toEqual(file);
  expect(readAddressPools(["base=172.30.0.0/16,size=28", "size=20,base=10.0.0.0/9"], file)).toEqual([
    { base: "172.30.0.0/16", size: 28 },
    { base: "10.0.0.0/9", size: 20 },
  ]);
});

test.each([
  [["10.0.0.0/8"], undefined, 'default-address-pool "10.0.0.0/8": must be like base=10.0.0.0/8,size=24'],
  [["base=10.0.0.0/8,size=x"], undefined, "must be like"],
  [["base=10.0.0.0/8,size=24,more=1"], undefined, "must be like"],
  [[], "10.0.0.0/8", "default-address-pools must be a list"],
  [[], [{ base: "10.0.0.0/8", size: "24" }], "default-address-pools must be a list"],
  [[], [{ base: "10.0.0.0/8", size: 24, more: 1 }], "default-address-pools must be a list"],
])("%p and %p are refused", (flags, file, words) => {
  expect(() => readAddressPools(flags, file)).toThrow(words);
});
