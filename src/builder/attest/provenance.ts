import type { ProvenanceRequest } from "../../wire/mod.ts";

/** Something a build was made from, whose bytes a digest names. */
export interface Material {
  /** Without secrets. */
  readonly uri: string;
  /** By algorithm, in hexadecimal; absent where nobody knows. */
  readonly digest?: Readonly<Record<string, string>>;
}

/** What is known of a build when it has ended. */
export interface BuildFacts {
  /** Where the Dockerfile is: of a context from elsewhere, or the client's. */
  readonly config: Partial<Material> & { readonly path: string };
  /** What the frontend was asked for. */
  readonly args: Readonly<Record<string, string>>;
  readonly secrets: readonly { readonly id: string; readonly optional: boolean }[];
  readonly materials: readonly Material[];
  /** No file came from the client, and no step had a network. */
  readonly isComplete: boolean;
  /** Such as `linux/amd64`. */
  readonly builderPlatform: string;
  readonly dockerfile: string;
  readonly steps: readonly { readonly id: string; readonly instruction: string; readonly inputs: readonly string[] }[];
  /** Of the client's repository, as it says. */
  readonly vcs: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly finished: number;
  readonly invocation: string;
  /** Of Berth. */
  readonly version: string;
}

/** Documented in docs/attestations.md. */
export const buildType = "urn:berth:dockerfile-build:v1";
const defaultBuilder = "urn:berth:builder";

export function provenanceType({ version }: ProvenanceRequest): string {
  return `https://slsa.dev/provenance/${version}`;
}

/** The predicate, with the names of BuildKit's where it has the same (slsa.dev/spec/v1.0/provenance; BuildKit `docs/attestations/slsa-definitions.md`). */
export function provenance(facts: BuildFacts, request: ProvenanceRequest): object {
  switch (request.version) {
    case "v1":
      return provenanceV1(facts, request);
    case "v0.2":
      return provenanceV02(facts, request);
    default:
      return request.version satisfies never;
  }
}

function provenanceV1(facts: BuildFacts, request: ProvenanceRequest): object {
  const { builderPlatform, invocation } = facts;
  const isMax = request.mode === "max";
  const { config, materials } = sourcesOf(facts, isMax);
  return {
    buildDefinition: {
      buildType,
      externalParameters: { configSource: config, request: parametersOf(facts, request) },
      internalParameters: { builderPlatform, ...(isMax && { buildConfig: { steps: facts.steps } }) },
      resolvedDependencies: materials,
    },
    runDetails: {
      builder: { id: request.builderId ?? defaultBuilder, version: { berth: facts.version } },
      metadata: {
        invocationId: invocation,
        ...{ startedOn: iso(facts.started), finishedOn: iso(facts.finished) },
        buildkit_completeness: { request: isMax, resolvedDependencies: facts.isComplete },
        buildkit_reproducible: request.reproducible,
        ...metadataOf(facts, isMax),
      },
    },
  };
}

function metadataOf(facts: BuildFacts, isMax: boolean) {
  const metadata = told(facts, isMax);
  return Object.keys(metadata).length > 0 ? { buildkit_metadata: metadata } : {};
}

function provenanceV02(facts: BuildFacts, request: ProvenanceRequest): object {
  const { builderPlatform, invocation } = facts;
  const isMax = request.mode === "max";
  const { config, materials } = sourcesOf(facts, isMax);
  const { path: entryPoint, ...source } = config;
  const metadata = told(facts, isMax);
  return {
    builder: { id: request.builderId ?? defaultBuilder },
    buildType,
    invocation: {
      configSource: { ...source, entryPoint },
      parameters: parametersOf(facts, request),
      environment: { platform: builderPlatform },
    },
    ...(isMax && { buildConfig: { steps: facts.steps } }),
    metadata: {
      buildInvocationID: invocation,
      ...{ buildStartedOn: iso(facts.started), buildFinishedOn: iso(facts.finished) },
      completeness: { parameters: isMax, environment: true, materials: facts.isComplete },
      reproducible: request.reproducible,
      ...(Object.keys(metadata).length > 0 && { "https://mobyproject.org/buildkit@v1#metadata": metadata }),
    },
    materials,
  };
}

/** The query of a download may come from a build argument. */
function sourcesOf({ config, materials }: BuildFacts, isMax: boolean): Pick<BuildFacts, "config" | "materials"> {
  if (isMax) return { config, materials };
  const plain = (uri: string) => (/^https?:/.test(uri) ? uri.replace(/\?[^#]*/, "") : uri);
  return {
    config: { ...config, ...(config.uri !== undefined && { uri: plain(config.uri) }) },
    materials: materials.map((one) => ({ ...one, uri: plain(one.uri) })),
  };
}

/** Build arguments and labels may say what is not everybody's: only mode `max` tells them. Secrets are told by name, never by value. */
function parametersOf({ args, secrets, config }: BuildFacts, { mode }: ProvenanceRequest): object {
  const isMax = mode === "max";
  const isTold = (name: string) => isMax || !/^(build-arg|label):/.test(name);
  const shown = Object.fromEntries(Object.entries(args).filter(([name]) => isTold(name)));
  const locals = config.uri === undefined ? [{ name: "context" }, { name: "dockerfile" }] : [];
  return {
    frontend: "dockerfile.v0",
    args: shown,
    ...(isMax && secrets.length > 0 && { secrets }),
    ...(locals.length > 0 && { locals }),
  };
}

function told({ vcs, config, dockerfile }: BuildFacts, isMax: boolean) {
  const data = Buffer.from(dockerfile).toString("base64");
  const infos = [{ filename: config.path, language: "Dockerfile", data }];
  return {
    ...(Object.keys(vcs).length > 0 && { vcs }),
    ...(isMax && { source: { infos } }),
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
