import { expect, test } from "bun:test";
import type { CheckResult } from "../wire/mod.ts";
import type { BuildKitEngine } from "./solve.ts";
import { StatusFeed } from "./status.ts";
import { type Subrequest, subrequest } from "./subrequests.ts";

const lines = { line: 2, endLine: 3 };
const found: CheckResult = {
  Warnings: [{ Rule: "R", Description: "about R", URL: "https://r", Detail: "bad", StartLine: 2, EndLine: 3 }],
  Error: { Message: "broken" },
  Text: "Check complete, 1 warning has been found!\n\nWARNING: R\n",
};
let check = found;
const chosen: unknown[] = [];
const builder = {
  describe: async (_files: unknown, options: unknown) => {
    chosen.push(options);
    return {
      ...{ source: { name: "Dockerfile", text: "FROM x\n" }, check },
      targets: () => [{ isDefault: true, base: "x", platform: "linux/arm64", lines }],
      outline: () => ({ args: [], secrets: [], ssh: [{ id: "default", required: true, lines }] }),
    };
  },
};
const engine = { builder, receive: async () => ({ directory: "", dockerfile: "" }) } as unknown as BuildKitEngine;

async function ask(requestid: string): Promise<Record<string, string>> {
  const asked = {
    ...{ requestid, session: undefined, source: { kind: "upload", bytes: [] }, filename: "Dockerfile" },
    ...{ cacheFrom: [], feed: new StatusFeed("r"), signal: AbortSignal.timeout(5000) },
    contexts: { i: { kind: "image", ref: "img" }, d: { kind: "local", directory: "d" } },
    options: { args: { A: "1" }, target: "t" },
  } as unknown as Subrequest;
  const told = await subrequest(engine, asked);
  return Object.fromEntries(Object.entries(told).map(([name, bytes]) => [name, Buffer.from(bytes).toString()]));
}

const location = { ranges: [{ start: { line: 2 }, end: { line: 3 } }] };
const data = Buffer.from("FROM x\n").toString("base64");

test("what the checks say, in BuildKit's form, with a status", async () => {
  const told = await ask("frontend.lint");
  expect(JSON.parse(told["result.json"] ?? "")).toEqual({
    warnings: [{ ruleName: "R", description: "about R", url: "https://r", detail: "bad", location }],
    sources: [{ filename: "Dockerfile", language: "Dockerfile", data }],
    buildError: { message: "broken", location: {} },
  });
  expect([told["result.txt"], told["result.statuscode"]]).toEqual(["\nWARNING: R\n", "1"]);
  expect(chosen.at(-1)).toEqual({ args: { A: "1" }, target: "t", contexts: { i: "img", d: "scratch" } });
  check = { Warnings: [], Text: "Check complete, no warnings found.\n" };
  expect((await ask("frontend.lint"))["result.statuscode"]).toBe("0");
});

test("targets, an outline, and what can be asked", async () => {
  const targets = await ask("frontend.targets");
  const target = { default: true, base: "x", platform: "linux/arm64", location };
  expect(JSON.parse(targets["result.json"] ?? "")).toEqual({ targets: [target], sources: [data] });
  expect(targets["result.txt"]).toBe("TARGET      DESCRIPTION\n(default)\n");
  const outline = await ask("frontend.outline");
  const ssh = [{ name: "default", required: true, location }];
  expect(JSON.parse(outline["result.json"] ?? "")).toEqual({ ssh, sources: [data] });
  expect(outline["result.txt"]).toBe("SSH       REQUIRED\ndefault   true\n\n");
  expect((await ask("frontend.subrequests.describe"))["result.txt"]).toContain("lint                   1.0.0");
  expect(await ask("frontend.convert-llb").catch(String)).toContain("unsupported request frontend.convert-llb");
});
