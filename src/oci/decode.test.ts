import { describe, expect, test } from "bun:test";
import { decodeConfig, requireSameLayers } from "./config.ts";
import { type Descriptor, mediaTypes } from "./image.ts";
import { children, decodeIndex, decodeManifest, requireImage } from "./manifest.ts";
import { choosePlatform, formatPlatform, matchesPlatform, parsePlatform } from "./platform.ts";

const digest = (c: string) => `sha256:${c.repeat(64)}` as const;
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const config = { mediaType: mediaTypes.config, digest: digest("a"), size: 10 };
const layer = { mediaType: mediaTypes.layerGzip, digest: digest("b"), size: 20 };
const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] };

describe("decodeManifest", () => {
  test("keeps what it knows and drops the rest", () => {
    expect(decodeManifest(bytes({ ...manifest, extra: 1, annotations: null }))).toEqual(manifest as never);
  });

  const bad: [string, unknown, RegExp, string?][] = [
    ["no JSON", "{", /manifest: invalid JSON/],
    ["invalid UTF-8", "\ud800", /manifest: (invalid JSON|an object)/],
    ["an array", [], /manifest: an object is expected/],
    ["schema 1", { schemaVersion: 1 }, /manifest.schemaVersion: 2 is expected, not 1/],
    ["no config", { schemaVersion: 2, layers: [] }, /manifest.config: missing/],
    ["unknown media type", { ...manifest, mediaType: "x/y" }, /unsupported media type "x\/y"/],
    ["another media type", manifest, /sent as "application\/vnd.docker/, mediaTypes.dockerManifest],
    ["both kinds", { ...manifest, manifests: [] }, /both an index and a manifest/],
    ["md5 digest", { ...manifest, layers: [{ ...layer, digest: "md5:1" }] }, /manifest.layers\[0\].digest: a sha256/],
    ["upper case", { ...manifest, config: { ...config, digest: digest("A") } }, /manifest.config.digest/],
    ["negative size", { ...manifest, config: { ...config, size: -1 } }, /manifest.config.size: a size is expected/],
    ["no size", { ...manifest, config: { ...config, size: null } }, /manifest.config.size: missing/],
    ["float size", { ...manifest, layers: [{ ...layer, size: 1.5 }] }, /manifest.layers\[0\].size/],
    ["layers an object", { ...manifest, layers: {} }, /manifest.layers: an array is expected/],
    ["annotation", { ...manifest, annotations: { a: 1 } }, /manifest.annotations\["a"\]: a string is expected/],
    ["too deep", "[".repeat(1_000_000), /manifest: invalid JSON/],
    ["too large", " ".repeat(4 * 1024 * 1024 + 1), /at most 4194304 are accepted/],
  ];
  for (const [name, value, message, type] of bad) {
    test(`refuses ${name}`, () => expect(() => decodeManifest(bytes(value), type)).toThrow(message));
  }

  test("an image needs known layer and config types", () => {
    const foreign = { ...layer, mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" };
    expect(() => requireImage(decodeManifest(bytes({ ...manifest, layers: [foreign] })))).toThrow(/foreign/);
    const helm = { ...config, mediaType: "application/vnd.cncf.helm.config.v1+json" };
    expect(() => requireImage(decodeManifest(bytes({ ...manifest, config: helm })))).toThrow(/helm/);
  });
});

describe("children", () => {
  test("of a manifest: config and layers", () => {
    expect(children(bytes(manifest), mediaTypes.manifest)).toEqual([config, layer]);
  });
  test("of an index: manifests", () => {
    const index = { schemaVersion: 2, manifests: [{ ...layer, mediaType: mediaTypes.manifest }] };
    expect(children(bytes(index), mediaTypes.index)).toEqual(index.manifests);
    expect(() => decodeIndex(bytes({ schemaVersion: 2 }))).toThrow(/index.manifests: missing/);
  });
  test("of anything else: none", () => expect(children(bytes("x"), mediaTypes.layer)).toEqual([]));
});

describe("decodeConfig", () => {
  const whole = {
    created: "2024-01-02T03:04:05.123456789Z",
    architecture: "amd64",
    os: "linux",
    config: {
      Env: ["A=b"],
      Cmd: null,
      ExposedPorts: { "80/tcp": {} },
      Labels: { a: "b" },
      Healthcheck: { Test: ["NONE"] },
    },
    rootfs: { type: "layers", diff_ids: [digest("c")] },
    history: [{ created_by: "RUN x", empty_layer: true }],
  };
  test("decodes", () => {
    const decoded = decodeConfig(bytes(whole));
    expect(decoded.config?.ExposedPorts).toEqual({ "80/tcp": {} });
    expect(decoded.config && "Cmd" in decoded.config).toBe(false);
    expect(decoded.history?.[0]).toEqual({ created_by: "RUN x", empty_layer: true });
    expect(() => requireSameLayers(decodeManifest(bytes(manifest)), decoded)).not.toThrow();
  });
  const bad: [string, unknown, RegExp][] = [
    ["no rootfs", { ...whole, rootfs: null }, /config.rootfs: missing/],
    ["rootfs type", { ...whole, rootfs: { type: "x" } }, /config.rootfs.type/],
    ["diff id", { ...whole, rootfs: { type: "layers", diff_ids: [1] } }, /config.rootfs.diff_ids\[0\]/],
    ["env", { ...whole, config: { Env: [1] } }, /config.config.Env\[0\]/],
    ["cmd", { ...whole, config: { Cmd: "sh" } }, /config.config.Cmd: an array/],
    ["time", { ...whole, created: "yesterday" }, /config.created/],
    ["os", { ...whole, os: 5 }, /config.os/],
    ["history", { ...whole, history: ["x"] }, /config.history\[0\]: an object/],
  ];
  for (const [name, value, message] of bad) {
    test(`refuses ${name}`, () => expect(() => decodeConfig(bytes(value))).toThrow(message));
  }
  test("layer counts must agree", () => {
    const none = decodeConfig(bytes({ ...whole, rootfs: { type: "layers" } }));
    expect(() => requireSameLayers(decodeManifest(bytes(manifest)), none)).toThrow(/1 layers, but 0 diff_ids/);
  });
});

describe("platforms", () => {
  const parse = (text: string) => formatPlatform(parsePlatform(text));
  test("parses and normalizes", () => {
    expect([
      parse("linux/x86_64"),
      parse("linux/aarch64"),
      parse("linux/arm64/v8"),
      parse("linux/arm"),
      parse("arm64"),
    ]).toEqual(["linux/amd64", "linux/arm64", "linux/arm64", "linux/arm/v7", "linux/arm64"]);
    for (const text of ["", "a/b/c/d", "linux/../x"]) expect(() => parsePlatform(text)).toThrow(/invalid platform/);
  });
  test("older variants run, newer do not", () => {
    expect(matchesPlatform(parsePlatform("linux/arm/v7"), parsePlatform("linux/arm/v6"))).toBe(true);
    expect(matchesPlatform(parsePlatform("linux/amd64"), parsePlatform("linux/amd64/v3"))).toBe(false);
    expect(matchesPlatform(parsePlatform("linux/amd64/v3"), parsePlatform("linux/amd64"))).toBe(true);
  });
  test("the best entry wins, unknown platforms never do", () => {
    const entry = (text: string): Descriptor => ({ ...layer, platform: parsePlatform(text), mediaType: text });
    const list = [entry("unknown/unknown"), entry("linux/arm/v5"), entry("linux/arm/v7"), entry("linux/amd64")];
    expect(choosePlatform(list, parsePlatform("linux/arm/v7"))?.mediaType).toBe("linux/arm/v7");
    expect(choosePlatform(list, parsePlatform("linux/arm/v6"))?.mediaType).toBe("linux/arm/v5");
    expect(choosePlatform(list, parsePlatform("linux/amd64"))?.mediaType).toBe("linux/amd64");
    expect(choosePlatform(list, parsePlatform("linux/s390x"))).toBeUndefined();
  });
});
