import { expect, test } from "bun:test";
import type { ImageConfig } from "../../oci/mod.ts";
import { parseDockerfile } from "../dockerfile/dockerfile.ts";
import { goldens } from "../testing/golden.ts";
import { details, summary, violation } from "./findings.ts";
import { configOf, lint } from "./lint.ts";

const amd64 = { os: "linux", architecture: "amd64" };
const alpine: ImageConfig = { ...amd64, config: { Env: ["PATH=/bin"] }, rootfs: { type: "layers", diff_ids: [] } };
const images: Readonly<Record<string, ImageConfig>> = {
  "alpine:3": alpine,
  armed: { ...alpine, architecture: "arm64", variant: "v8" },
};

function linted(text: string, stages?: ReadonlySet<number>) {
  const given = {
    file: parseDockerfile(text),
    args: {},
    labels: {},
    targetPlatform: amd64,
    buildPlatform: amd64,
    platformGiven: false,
  };
  const image = (name: string) => images[name];
  const findings = lint({ ...given, image, ignore: ["secret.txt", "build"], ...(stages && { stages }) });
  return { findings, fails: configOf(given).error && findings.length > 0 };
}

goldens("lint", (text) => {
  const { findings, fails } = linted(text);
  const lines = findings.map(({ rule, message, lines: at }) => `${at.line}-${at.endLine} ${rule.name}: ${message}`);
  return [...lines, ...(fails ? [violation(findings)] : [])].join("\n");
});

goldens("lint-text", (text) => {
  const { findings } = linted(text);
  return summary(findings) + details(findings, { name: "Dockerfile", text });
});

test("instructions of stages that are not built are left alone, their FROM is not", () => {
  const text = "FROM alpine:3 AS Unused\nCMD $nothing\nFROM alpine:3\nMAINTAINER me\nWORKDIR here";
  const names = linted(text, new Set([1])).findings.map(({ rule }) => rule.name);
  expect(names).toEqual(["StageNameCasing", "MaintainerDeprecated", "WorkdirRelativePath"]);
});

test("findings and what they quote are bounded", () => {
  const text = `FROM scratch\nLABEL ${"a=$b \\\n".repeat(30_000)}z=1\n`;
  const { findings } = linted(text);
  expect(findings).toHaveLength(20_000);
  expect(details(findings, { name: "Dockerfile", text }).length).toBeLessThan(8 * 1024 * 1024);
});
