import { EngineError } from "../errors/mod.ts";
import { decodeAttestationsByType, decodeUlimits } from "../wire/mod.ts";
import { parseImports } from "./cache-options.ts";
import { parseContexts } from "./named-contexts.ts";
import type { Solving, Source } from "./solve.ts";

export type Attributes = Readonly<Record<string, string>>;

/** What a client asks of `dockerfile.v0`: where the files are and how they are built. */
export type FrontendBuild = Pick<Solving, "source" | "filename" | "contexts" | "platforms"> & {
  readonly options: FrontendOptions;
};
export type FrontendOptions = Omit<Solving["options"], "registryAuth">;

/** Attributes that change nothing here: what the client can do, where its sources come from, who asks. */
const told = ["frontend.caps", "cmdline", "source"];
const toldPrefixes = ["vcs:", "local-sessionid:", "sharedkey:localdir:", "build-arg:BUILDKIT_INLINE_BUILDINFO_ATTRS"];

/** Those that are read below. */
const known = [
  ...["filename", "target", "platform", "no-cache", "add-hosts", "force-network-mode", "cgroup-parent", "shm-size"],
  ...["ulimit", "image-resolve-mode", "context", "contextkey", "dockerfilekey", "multi-platform"],
  ...["cache-imports", "cache-from"],
];

/** Throws "not-implemented" for an attribute that is not known here, "invalid" for a value that is none. */
export function readAttributes(attributes: Attributes): FrontendBuild {
  for (const name of Object.keys(attributes)) requireKnown(name);
  const get = (name: string) => attributes[name] ?? "";
  const platforms = platformsOf(get("platform"));
  const isIndex = platforms.length > 1 || ["1", "true"].includes(get("multi-platform").toLowerCase());
  return {
    source: sourceOf(attributes),
    ...(isIndex && platforms.length > 0 && { platforms }),
    filename: get("filename") || "Dockerfile",
    contexts: parseContexts(below(attributes, "context:")),
    options: {
      quiet: false,
      ...{ squash: false, keepFailed: false, steps: false, explain: false },
      noCache: attributes["no-cache"] === "",
      uncachedStages: listOf(get("no-cache")),
      pull: get("image-resolve-mode") === "pull",
      args: below(attributes, "build-arg:"),
      cacheImports: parseImports(get("cache-imports"), get("cache-from")),
      cacheExports: [],
      inlineCache: attributes["build-arg:BUILDKIT_INLINE_CACHE"] === "1",
      attest: { ...decodeAttestationsByType(below(attributes, "attest:")), vcs: vcsOf(below(attributes, "vcs:")) },
      labels: below(attributes, "label:"),
      extraHosts: listOf(get("add-hosts")).map((one) => one.replace("=", ":")),
      ...(get("target") !== "" && { target: get("target") }),
      ...(platforms.length === 1 && { platform: get("platform") }),
      networkMode: networkMode(get("force-network-mode")),
      shmSize: sizeOf(get("shm-size")),
      ulimits: ulimitsOf(get("ulimit")),
      ...(get("cgroup-parent") !== "" && { cgroupParent: get("cgroup-parent") }),
      resources: noLimits,
    },
  };
}

const noLimits = { memory: 0, memorySwap: 0, cpuShares: 0, cpuQuota: 0, cpuPeriod: 0, cpusetCpus: "", cpusetMems: "" };

/** URLs of repositories may hold a password. */
function vcsOf(told: Record<string, string>): Record<string, string> {
  const plain = (value: string) => value.replace(/^(https?:\/\/)[^/]*@/i, "$1");
  return Object.fromEntries(Object.entries(told).map(([name, value]) => [name, plain(value)]));
}

function requireKnown(name: string): void {
  if (known.includes(name) || told.includes(name)) return;
  if (["build-arg:", "label:", "context:", "attest:", ...toldPrefixes].some((prefix) => name.startsWith(prefix)))
    return;
  throw new EngineError("not-implemented", `build with the frontend's option ${name} is not implemented by Berth yet`);
}

function below(attributes: Attributes, prefix: string): Record<string, string> {
  const found = Object.entries(attributes).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(found.map(([name, value]) => [name.slice(prefix.length), value]));
}

/** The client's directories unless `context` says where else; git's ends in `.git` or names its protocol (BuildKit `DetectGitContext`). */
function sourceOf(attributes: Attributes): Source {
  const url = attributes[attributes["contextkey"] ?? "context"] ?? "";
  const isRemote = /^(?:https?:\/\/|git:\/\/|git@|ssh:\/\/|github\.com\/)/.test(url);
  const beside = attributes["dockerfilekey"];
  if (isRemote) return { kind: "remote", url, ...(beside !== undefined && { beside }) };
  return { kind: "session", context: "context", dockerfile: beside ?? "dockerfile" };
}

function listOf(text: string): string[] {
  return text.split(",").filter((one) => one !== "");
}

/** Each once. */
function platformsOf(text: string): string[] {
  return [...new Set(text.split(",").filter((one) => one !== ""))];
}

function networkMode(mode: string): string {
  if (["", "default", "sandbox"].includes(mode)) return "default";
  if (mode === "host" || mode === "none") return mode;
  throw new EngineError("invalid", `invalid network mode ${JSON.stringify(mode)}: it is default, host or none`);
}

function sizeOf(text: string): number {
  if (/^\d{0,15}$/.test(text)) return Number(text);
  throw new EngineError("invalid", `invalid shm-size ${JSON.stringify(text)}: it is a number of bytes`);
}

/** `name=soft[:hard]`, separated by commas. */
function ulimitsOf(text: string): ReturnType<typeof decodeUlimits> {
  if (text === "") return [];
  const limits = text.split(",").map((one) => {
    const [, name, soft, hard] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(one) ?? [];
    if (name === undefined) throw new EngineError("invalid", `invalid ulimit ${JSON.stringify(one)}`);
    return { Name: name, Soft: Number(soft), Hard: Number(hard ?? soft) };
  });
  return decodeUlimits(limits);
}
