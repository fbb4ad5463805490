import { EngineError } from "../../errors/mod.ts";
import { streamJob } from "../../host/mod.ts";
import type { Attestation, Image } from "../../images/mod.ts";
import { familiar, formatPlatform, type Reference } from "../../oci/mod.ts";
import { collect } from "../../stream/mod.ts";
import { version } from "../../version/mod.ts";
import type { ProvenanceRequest } from "../../wire/mod.ts";
import type { BuildOptions } from "../builder.ts";
import type { Build } from "../context.ts";
import type { Dockerfile } from "../dockerfile/dockerfile.ts";
import type { Source } from "../dockerfile/quote.ts";
import type { BuildGraph, ResolvedImage } from "../graph/graph.ts";
import { observedSteps } from "../observer.ts";
import { sbomJob } from "./job.ts";
import { imageMaterials, isOffline, secretsOf, verticesOf } from "./materials.ts";
import { type BuildFacts, type Material, provenance, provenanceType } from "./provenance.ts";
import { spdxPredicate } from "./spdx.ts";

export interface Attesting {
  readonly image: Image;
  readonly graph: BuildGraph;
  /** What the Dockerfile's names of images came to; by `imageKey`. */
  readonly images: ReadonlyMap<string, ResolvedImage>;
  readonly source: Source;
  readonly tags: readonly Reference[];
  /** Milliseconds since 1970. */
  readonly started: number;
}

/** Says about a built image what was asked for, and keeps it with the image. */
export async function attest(build: Build, attesting: Attesting): Promise<void> {
  const { sbom, provenance: request } = build.options.attest;
  const said: Attestation[] = [];
  if (sbom) said.push({ predicateType: spdxPredicate, predicate: await sbomOf(build, attesting) });
  if (request) said.push(await provenanceOf(build, { ...attesting, request }));
  if (said.length > 0) await build.context.images.attest(attesting.image, said);
}

/** Ask for more than the image in an SBOM (BuildKit docs/attestations/sbom.md). */
export const scanArguments = ["BUILDKIT_SBOM_SCAN_STAGE", "BUILDKIT_SBOM_SCAN_CONTEXT"] as const;

/** Throws "not-implemented" when an SBOM is to tell of stages or of the context as well. */
export function requireScans({ attest, args }: Pick<BuildOptions, "attest" | "args">, file: Dockerfile): void {
  if (!attest.sbom) return;
  const all = [...file.globals, ...file.stages.flatMap(({ instructions }) => instructions)];
  const written = all.flatMap((one) => (one.kind === "arg" ? one.args : []));
  for (const name of scanArguments) {
    const values =
      args[name] === undefined ? written.flatMap((arg) => (arg.name === name ? arg.value : [])) : [args[name]];
    if (values.every((one) => !one || /^(?:0|f|false)$/i.test(one))) continue;
    throw new EngineError("not-implemented", `${name} is not implemented by Berth: an SBOM tells of the image alone`);
  }
}

/** 20,000 packages with every field at its limit would be more; those with sane fields are a tenth of it. */
const documentLimit = 64 * 1024 * 1024;

async function sbomOf(build: Build, { image, tags }: Attesting): Promise<Uint8Array> {
  const { context, views, signal } = build;
  const root = await views.path(await context.images.rootfs(image));
  const [tag] = tags;
  const subject = {
    ...{ image: image.id, name: tag ? familiar(tag) : image.id },
    ...{ created: image.config.created ?? "", tool: `berth-${version}` },
  };
  const { bytes } = streamJob(context.host.workers, sbomJob, { input: { root, subject }, signal });
  return collect(bytes, documentLimit);
}

async function provenanceOf(
  build: Build,
  { request, ...attesting }: Attesting & { readonly request: ProvenanceRequest },
): Promise<Attestation> {
  const facts = await factsOf(build, attesting);
  return {
    predicateType: provenanceType(request),
    predicate: new TextEncoder().encode(JSON.stringify(provenance(facts, request))),
  };
}

async function factsOf(build: Build, { graph, images, source, started }: Attesting): Promise<BuildFacts> {
  const { context, options, files } = build;
  const vertices = verticesOf(graph);
  const origin = files.origin;
  const materials = [
    ...(await imageMaterials(build, { vertices, images })),
    ...(origin ? [origin] : []),
    ...build.materials,
  ];
  return {
    config: { ...origin, path: source.name },
    args: argsOf(build),
    secrets: secretsOf(vertices),
    materials: sorted(materials),
    isComplete: origin?.digest !== undefined && isOffline(vertices, options.networkMode),
    builderPlatform: formatPlatform(context.config.platform),
    dockerfile: source.text,
    steps: observedSteps(graph.steps).map(({ id, text, inputs }) => ({
      id: stepId(id),
      instruction: text,
      inputs: inputs.map(stepId),
    })),
    vcs: options.attest.vcs ?? {},
    ...{ started, finished: Date.now() },
    invocation: crypto.randomUUID(),
    version,
  };
}

function stepId(id: number): string {
  return `step${id}`;
}

function sorted(materials: readonly Material[]): Material[] {
  const each = new Map(materials.map((one) => [JSON.stringify(one), one]));
  return [...each].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

/** They often hold passwords, and nobody declared them. */
const proxies = /^(?:https?|ftp|no|all)_proxy$/i;

/** By the names that BuildKit's frontend has for them. */
function argsOf({ options }: Build): Record<string, string> {
  const { args, labels, target, platform, noCache, networkMode } = options;
  const given = Object.entries(args).flatMap(([name, value]) =>
    value === null || proxies.test(name) ? [] : [[`build-arg:${name}`, value] as const],
  );
  return {
    ...Object.fromEntries(given),
    ...Object.fromEntries(Object.entries(labels).map(([name, value]) => [`label:${name}`, value])),
    ...(target !== undefined && { target }),
    ...(platform !== undefined && { platform }),
    ...(noCache && { "no-cache": "" }),
    ...(!["", "default"].includes(networkMode) && { "force-network-mode": networkMode }),
  };
}
