import { describe, expect, test } from "bun:test";
import { isKind } from "../errors/mod.ts";
import {
  decodeAuthHeader,
  decodeAuthsHeader,
  decodeBuildQuery,
  decodeFilters,
  decodeSessionBuildQuery,
  formatCacheOption,
  humanDuration,
  parseCacheOption,
  parseDuration,
  parseInstant,
  queryFlag,
  queryInteger,
  requiredText,
} from "./mod.ts";

const q = (text: string) => new URLSearchParams(text);
const kindOfThrown = (body: () => unknown, kind: "invalid" | "not-implemented") => {
  try {
    body();
  } catch (err) {
    return isKind(err, kind) ? (err as Error).message : `wrong kind: ${err}`;
  }
  return "accepted";
};

test("booleans: anything but empty, 0, no, false, none is true", () => {
  for (const yes of ["1", "true", "True", "TRUE", "t", "yes", "2", "on", "x"])
    expect(queryFlag(q(`a=${yes}`), "a")).toBe(true);
  for (const no of ["", "0", "no", "No", "false", "False", "none", " 0 "])
    expect(queryFlag(q(`a=${no}`), "a", true)).toBe(false);
  expect([queryFlag(q(""), "a"), queryFlag(q(""), "a", true)]).toEqual([false, true]);
});

test("integers and required values", () => {
  expect([queryInteger(q("t=-1"), "t", 5), queryInteger(q("t="), "t", 5), queryInteger(q(""), "t", undefined)]).toEqual(
    [-1, 5, undefined],
  );
  for (const bad of ["1.5", "x", "0x10", "9".repeat(40)])
    expect(kindOfThrown(() => queryInteger(q(`t=${bad}`), "t", 0), "invalid")).toContain("invalid value for t");
  expect(kindOfThrown(() => requiredText(q("name="), "name"), "invalid")).toBe("query parameter name is required");
});

test("filters, new form and old; malformed ones are refused", () => {
  const filters = (text: string) => decodeFilters(new URLSearchParams({ filters: text }));
  expect([...filters('{"label":["a","b=c"],"dangling":["true"]}')]).toEqual([
    ["label", ["a", "b=c"]],
    ["dangling", ["true"]],
  ]);
  expect([...filters('{"label":{"a":true,"b":true}}')]).toEqual([["label", ["a", "b"]]]);
  for (const empty of ["", "{}", "null"]) expect(filters(empty).size).toBe(0);
  expect(decodeFilters(q("")).size).toBe(0);
  for (const bad of ["{", "[]", '"x"', '{"a":"b"}', '{"a":[1]}', '{"a":{"b":1}}', '{"a":null}', '{"dangling":true}'])
    expect(kindOfThrown(() => filters(bad), "invalid")).toStartWith("invalid filter");
});

describe("instants", () => {
  const now = 1_700_000_000_000_000_000n;
  test("unix seconds, RFC 3339, durations before now", () => {
    const cases: [string, bigint][] = [
      ["0", 0n],
      ["1136073600", 1_136_073_600_000_000_000n],
      ["1136073600.000000001", 1_136_073_600_000_000_001n],
      ["1136073600.5", 1_136_073_600_500_000_000n],
      ["1136073600.1234567891", 1_136_073_600_123_456_789n],
      ["-1.5", -1_500_000_000n],
      ["2006-01-02T15:04:05Z", 1_136_214_245_000_000_000n],
      ["2006-01-02T15:04:05.123456789Z", 1_136_214_245_123_456_789n],
      ["2006-01-02T15:04:05+01:00", 1_136_210_645_000_000_000n],
      ["2006-01-02T15:04:05", 1_136_214_245_000_000_000n],
      ["2006-01-02T15:04", 1_136_214_240_000_000_000n],
      ["2006-01-02", 1_136_160_000_000_000_000n],
      ["10m", now - 600_000_000_000n],
      ["1h30m", now - 5_400_000_000_000n],
      ["1.5s", now - 1_500_000_000n],
      ["-10s", now + 10_000_000_000n],
    ];
    for (const [text, expected] of cases) expect(parseInstant(text, now)).toBe(expected);
  });
  test("garbage is refused", () => {
    for (const bad of [
      "x",
      "",
      "10",
      "2006-13-01",
      "2006-01-02T25:00:00Z",
      "10mx",
      "99999999999999999999",
      "1e5",
    ].filter((b) => b !== "10"))
      expect(kindOfThrown(() => parseInstant(bad, now), "invalid")).toMatch(/^invalid (timestamp|duration)/);
  });
  test("durations in docker's words", () => {
    const day = 86_400;
    const seconds = [0, 1, 59, 90, 150, 3600, 7000, 50 * 3600, 20 * day, 61 * day, 800 * day];
    expect(seconds.map(humanDuration)).toEqual([
      ...["Less than a second", "1 second", "59 seconds", "About a minute", "2 minutes", "About an hour"],
      ...["2 hours", "2 days", "2 weeks", "2 months", "2 years"],
    ]);
  });
  test("durations", () => {
    expect([parseDuration("24h"), parseDuration("100ms"), parseDuration("0")]).toEqual([
      86_400_000_000_000n,
      100_000_000n,
      0n,
    ]);
    expect([parseDuration("1m1.5s"), parseDuration("-10ms"), parseDuration("+.5us")]).toEqual([
      61_500_000_000n,
      -10_000_000n,
      500n,
    ]);
    const problems = {
      "5": "missing unit in",
      "1x": 'unknown unit "x" in',
      "": "invalid",
      "-": "invalid",
      "1h ": "invalid",
    };
    for (const [bad, problem] of Object.entries(problems)) {
      expect(kindOfThrown(() => parseDuration(bad), "invalid")).toContain(`${problem} duration`);
    }
    expect(kindOfThrown(() => parseDuration("99999999999999h"), "invalid")).toContain("too long");
  });
});

describe("credentials", () => {
  const encode = (json: unknown, how: "base64" | "base64url" = "base64url") =>
    Buffer.from(JSON.stringify(json)).toString(how);
  test("either alphabet, user and password or auth or tokens", () => {
    const auth = { username: "u>?", password: "p~~>", serveraddress: "r:5000" };
    const expected = { username: "u>?", password: "p~~>", serverAddress: "r:5000" };
    expect(decodeAuthHeader(encode(auth))).toEqual(expected);
    expect(decodeAuthHeader(encode(auth, "base64"))).toEqual(expected);
    expect(decodeAuthHeader(encode({ auth: Buffer.from("u:p:q").toString("base64") }))).toEqual({
      username: "u",
      password: "p:q",
    });
    expect(decodeAuthHeader(encode({ identitytoken: "t" }))).toEqual({ identityToken: "t" });
    for (const none of [undefined, "", encode({}), encode(null), encode({ username: "", password: "" })])
      expect(decodeAuthHeader(none)).toBeUndefined();
  });
  test("many registries", () => {
    expect(decodeAuthsHeader(encode({ "r:5000": { username: "u" }, x: null }))).toEqual({
      "r:5000": { username: "u" },
      x: {},
    });
    expect(decodeAuthsHeader(undefined)).toEqual({});
  });
  test("garbage is refused by the header's name", () => {
    expect(kindOfThrown(() => decodeAuthHeader("%%%"), "invalid")).toStartWith("invalid X-Registry-Auth header");
    expect(kindOfThrown(() => decodeAuthsHeader(encode([])), "invalid")).toContain(
      "X-Registry-Config must be an object",
    );
  });
});

describe("build query", () => {
  test("defaults and everything", () => {
    expect(decodeBuildQuery(q(""))).toMatchObject({
      dockerfile: "Dockerfile",
      tags: [],
      args: {},
      noCache: false,
      shmSize: 0,
    });
    const query = new URLSearchParams([
      ["t", "a:1"],
      ["t", "b"],
      ["nocache", "1"],
      ["pull", "true"],
      ["q", "1"],
      ["buildargs", '{"A":"1","B":null}'],
      ["labels", '{"l":"v"}'],
      ["cachefrom", '["x"]'],
      ["extrahosts", "a:1.2.3.4"],
      ["target", "t"],
      ["platform", "linux/amd64"],
      ["networkmode", "host"],
      ["memory", "5"],
      ["memswap", "-1"],
      ["ulimits", '[{"Name":"nofile","Hard":5,"Soft":4}]'],
      ["rm", "1"],
      ["version", "1"],
    ]);
    expect(decodeBuildQuery(query)).toMatchObject({
      tags: ["a:1", "b"],
      noCache: true,
      pull: true,
      quiet: true,
      args: { A: "1", B: null },
      labels: { l: "v" },
      cacheFrom: ["x"],
      extraHosts: ["a:1.2.3.4"],
      target: "t",
      platform: "linux/amd64",
      networkMode: "host",
      ulimits: [{ Name: "nofile", Hard: 5, Soft: 4 }],
      resources: { memory: 5, memorySwap: -1 },
    });
  });
  test("BuildKit's form of it names a session, a build and outputs", () => {
    const outputs = encodeURIComponent('[{"Type":"local","Attrs":{"a":"b"}},{"type":"moby"}]');
    expect(decodeSessionBuildQuery(q(`session=s&buildid=b&outputs=${outputs}&t=x`))).toMatchObject({
      ...{ session: "s", buildId: "b", tags: ["x"] },
      outputs: [
        { type: "local", attributes: { a: "b" } },
        { type: "moby", attributes: {} },
      ],
    });
    expect(decodeSessionBuildQuery(q(""))).toMatchObject({ outputs: [] });
    expect(kindOfThrown(() => decodeSessionBuildQuery(q("outputs=[1]")), "invalid")).toContain("outputs");
    expect(kindOfThrown(() => decodeSessionBuildQuery(q("check=1")), "not-implemented")).toContain("check");
  });
  test("caches: names alone limit what is used, others are looked into; where the cache goes", () => {
    const cacheFrom = JSON.stringify(["a:1", "type=registry,ref=b", 'type=local,"src=x,y"']);
    const decode = (to: string) => decodeBuildQuery(new URLSearchParams({ cachefrom: cacheFrom, cacheto: to }));
    expect(decode('["type=registry,mode=max, REF=c","d","type=inline"]')).toMatchObject({
      cacheFrom: ["a:1"],
      cacheImports: [
        { type: "registry", attributes: { ref: "b" } },
        { type: "local", attributes: { src: "x,y" } },
      ],
      cacheExports: [
        { type: "registry", attributes: { mode: "max", ref: "c" } },
        { type: "registry", attributes: { ref: "d" } },
      ],
      inlineCache: true,
    });
    expect(formatCacheOption(parseCacheOption('"src=x,""y",type=local'))).toBe('type=local,"src=x,""y"');
    expect(kindOfThrown(() => decode('["ref=x"]'), "invalid")).toContain("type is required");
    expect(kindOfThrown(() => decode('["type=registry,x"]'), "invalid")).toContain("no name=value");
  });
  test("refusals name what they refuse", () => {
    const refused = (text: string) => kindOfThrown(() => decodeBuildQuery(q(text)), "not-implemented");
    expect(refused('securityopt=["a"]')).toContain("securityopt a");
    expect(refused("outputs=x")).toContain("outputs");
    expect(kindOfThrown(() => decodeBuildQuery(q("isolation=hyperv")), "invalid")).toContain("isolation");
    expect(() => [decodeBuildQuery(q("isolation=default")), decodeBuildQuery(q("isolation="))]).not.toThrow();
    expect(refused('cachefrom=["type=gha"]')).toContain("cache-from type=gha");
    expect(refused('cacheto=["type=s3,bucket=x"]')).toContain("cache-to type=s3");
    expect(kindOfThrown(() => decodeBuildQuery(q("buildargs={")), "invalid")).toContain("invalid value for buildargs");
    expect(kindOfThrown(() => decodeBuildQuery(q('buildargs={"a":1}')), "invalid")).toContain(
      "buildargs.a must be a string",
    );
  });
});
