import { EngineError } from "../errors/mod.ts";
import { type BuildAttestations, decodeAttestations } from "./attest.ts";
import { type CacheOption, cacheKind, parseCacheOption } from "./cache-option.ts";
import type { Ulimit } from "./container.ts";
import { Fields, list, nullable, record, string } from "./decode.ts";
import { decodeUlimits } from "./decode-host-config.ts";
import { queryFlag, queryInteger, queryJson, queryText } from "./query.ts";

/** The query of `POST /build`; sizes in bytes, CPU times in microseconds, 0 for no limit. */
export interface BuildQuery {
  /** Berth's own: check the Dockerfile instead of building it. */
  readonly check: boolean;
  /** Berth's own: answer a question about the Dockerfile instead of building it. */
  readonly call?: BuildCall;
  /** Path inside the context. */
  readonly dockerfile: string;
  readonly tags: readonly string[];
  /** A Git repository, or the URL of a tar or of a Dockerfile, instead of a context in the body. */
  readonly remote?: string;
  /** What `POST /build/context` called a context whose missing contents are in the body. */
  readonly context?: string;
  readonly quiet: boolean;
  readonly noCache: boolean;
  /** Names of stages whose steps all run, whatever the cache has. */
  readonly uncachedStages?: readonly string[];
  readonly pull: boolean;
  /** One layer for all that the build adds. */
  readonly squash: boolean;
  /** Berth's own: makes an image of what a failed step left. */
  readonly keepFailed: boolean;
  /** Berth's own: tells of all steps at once, as {@link BuildStepEvent}s, instead of the classic builder's lines. */
  readonly steps: boolean;
  /** Berth's own: says of each step that runs why. */
  readonly explain: boolean;
  /** null: take it from the daemon's environment, if it is there (`--build-arg NAME`). */
  readonly args: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Images here that the cache is limited to. */
  readonly cacheFrom: readonly string[];
  /** Further caches to look into. */
  readonly cacheImports: readonly CacheOption[];
  readonly cacheExports: readonly CacheOption[];
  /** Tells in the image which steps its layers came from, for --cache-from elsewhere. */
  readonly inlineCache: boolean;
  /** Berth's own: what is told about the image beside it. */
  readonly attest: BuildAttestations;
  readonly extraHosts: readonly string[];
  /** Berth's own: what FROM and --from mean by a name, as BuildKit spells it: `docker-image://REF`, `local:NAME` of the session, a URL. */
  readonly namedContexts: Readonly<Record<string, string>>;
  /** Id of the session that has the build's secrets, ssh agents and (BuildKit's) files. */
  readonly session?: string;
  readonly target?: string;
  readonly platform?: string;
  readonly networkMode: string;
  readonly shmSize: number;
  readonly ulimits: readonly Ulimit[];
  readonly cgroupParent?: string;
  readonly resources: {
    readonly memory: number;
    readonly memorySwap: number;
    readonly cpuShares: number;
    readonly cpuQuota: number;
    readonly cpuPeriod: number;
    readonly cpusetCpus: string;
    readonly cpusetMems: string;
  };
}

/** What can be asked: what can be chosen in a target, and which targets there are. */
export const buildCalls = ["outline", "targets"] as const;
export type BuildCall = (typeof buildCalls)[number];

/** Bytes of a Dockerfile or an ignore file: the daemon reads them where nothing may take long. */
export const largestBuildText = 1024 * 1024;

/** What `aux` carries of a build with `steps`: first all that there are, then what happens to them. */
export type BuildStepEvent =
  | { readonly Steps: readonly { readonly Id: number; readonly Text: string }[] }
  | { readonly Step: { readonly Id: number; readonly Event: "started" | "done" | "cached" } }
  | { readonly Step: { readonly Id: number; readonly Event: "output" | "failed"; readonly Text: string } };

/** Throws "invalid" for what cannot be read and "not-implemented" for what the classic builder here does not do. */
export function decodeBuildQuery(query: URLSearchParams): BuildQuery {
  if (queryText(query, "outputs")) throw refused("outputs");
  return readBuildQuery(query);
}

/** The query of `POST /build?version=2`, whose files and secrets are the session's. */
export interface SessionBuildQuery extends BuildQuery {
  /** By which the client cancels the build, and by which a body that it uploads apart finds it. */
  readonly buildId?: string;
  /** What becomes of the result, each with its type and attributes; none: an image. */
  readonly outputs: readonly BuildOutput[];
}

export interface BuildOutput {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Throws as {@link decodeBuildQuery} does, and for what Berth's own clients ask of the classic builder alone. */
export function decodeSessionBuildQuery(query: URLSearchParams): SessionBuildQuery {
  const own = ["check", "call", "context", "buildcontexts", "keepfailed", "steps"].find((name) =>
    queryText(query, name),
  );
  if (own !== undefined) throw refused(`version=2 and ${own}`);
  return {
    ...readBuildQuery(query),
    ...optional("buildId", queryText(query, "buildid")),
    outputs: queryJson(query, "outputs", list(decodeOutput)) ?? [],
  };
}

function decodeOutput(json: unknown, path?: string): BuildOutput {
  const fields = new Fields(json ?? {}, path);
  return { type: fields.get("Type", string, ""), attributes: fields.get("Attrs", record(string), {}) };
}

function readBuildQuery(query: URLSearchParams): BuildQuery {
  refuse(query);
  const text = (name: string) => query.get(name) ?? "";
  const args = queryJson(query, "buildargs", record(nullable(string))) ?? {};
  const sources = queryJson(query, "cachefrom", list(string)) ?? [];
  const targets = (queryJson(query, "cacheto", list(string)) ?? []).map(parseCacheOption);
  const cacheImports = sources.filter(isOption).map(parseCacheOption);
  const cacheExports = targets.filter(({ type }) => type !== inline);
  for (const option of cacheImports) cacheKind("cache-from", option);
  for (const option of cacheExports) cacheKind("cache-to", option);
  return {
    check: queryFlag(query, "check"),
    dockerfile: text("dockerfile") || "Dockerfile",
    tags: query.getAll("t").filter((tag) => tag !== ""),
    ...optional("remote", queryText(query, "remote")),
    ...optional("context", queryText(query, "context")),
    quiet: queryFlag(query, "q"),
    noCache: queryFlag(query, "nocache"),
    ...optional("uncachedStages", queryJson(query, "nocachefilter", list(string))),
    ...optional("call", callOf(query)),
    pull: queryFlag(query, "pull"),
    squash: queryFlag(query, "squash"),
    keepFailed: queryFlag(query, "keepfailed"),
    steps: queryFlag(query, "steps"),
    explain: queryFlag(query, "explain"),
    args,
    labels: queryJson(query, "labels", record(string)) ?? {},
    cacheFrom: sources.filter((source) => !isOption(source)),
    cacheImports,
    cacheExports,
    inlineCache: targets.some(({ type }) => type === inline) || args[inlineArgument] === "1",
    attest: decodeAttestations(queryJson(query, "attest", list(string)) ?? []),
    extraHosts: query.getAll("extrahosts").filter((host) => host !== ""),
    namedContexts: queryJson(query, "buildcontexts", record(string)) ?? {},
    ...optional("session", queryText(query, "session")),
    ...optional("target", queryText(query, "target")),
    ...optional("platform", queryText(query, "platform")),
    networkMode: text("networkmode"),
    shmSize: queryInteger(query, "shmsize", 0),
    ulimits: queryJson(query, "ulimits", decodeUlimits) ?? [],
    ...optional("cgroupParent", queryText(query, "cgroupparent")),
    resources: resources(query),
  };
}

function callOf(query: URLSearchParams): BuildCall | undefined {
  const text = queryText(query, "call");
  const found = buildCalls.find((one) => one === text);
  if (text !== undefined && !found)
    throw new EngineError("invalid", `unknown call ${JSON.stringify(text)}: one of ${buildCalls.join(", ")}`);
  return found;
}

/** With BuildKit's builders this build argument asks for it (docker build, "Specifying external cache sources"). */
const inlineArgument = "BUILDKIT_INLINE_CACHE";

/** The kind of cache that is written into the image's own config. */
const inline = "inline";

function isOption(source: string): boolean {
  return source.startsWith("type=");
}

function resources(query: URLSearchParams): BuildQuery["resources"] {
  return {
    memory: queryInteger(query, "memory", 0),
    memorySwap: queryInteger(query, "memswap", 0),
    cpuShares: queryInteger(query, "cpushares", 0),
    cpuQuota: queryInteger(query, "cpuquota", 0),
    cpuPeriod: queryInteger(query, "cpuperiod", 0),
    cpusetCpus: query.get("cpusetcpus") ?? "",
    cpusetMems: query.get("cpusetmems") ?? "",
  };
}

function refused(what: string): EngineError {
  return new EngineError("not-implemented", `build with ${what} is not implemented by Berth yet`);
}

function refuse(query: URLSearchParams): void {
  const security = queryJson(query, "securityopt", list(string)) ?? [];
  if (security.length > 0) throw refused(`securityopt ${security.join(", ")}`);
  const isolation = queryText(query, "isolation") ?? "default";
  if (isolation.toLowerCase() !== "default")
    throw new EngineError("invalid", `Unsupported isolation: ${JSON.stringify(isolation)}`);
}

function optional<K extends string, T>(name: K, value: T | undefined): { [P in K]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: T };
}

/** Answer of `POST /build?call=`, Berth's own. */
export interface CallResult {
  /** As BuildKit's frontend has it. */
  readonly Json: unknown;
  readonly Text: string;
}

/** Answer of `POST /build?check=1`, Berth's own. Lines count from 1. */
export interface CheckResult {
  readonly Warnings: readonly {
    readonly Rule: string;
    readonly Description: string;
    readonly URL?: string;
    readonly Detail: string;
    readonly StartLine: number;
    readonly EndLine: number;
  }[];
  /** What would end the build before its first step. */
  readonly Error?: { readonly Message: string; readonly StartLine?: number; readonly EndLine?: number };
  /** All of it as text, with the lines it is about. */
  readonly Text: string;
}
