import type { BuildObserver } from "../builder/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import { formatPlatform, matchesPlatform, parsePlatform } from "../oci/mod.ts";
import { type Bytes, type TarEntry, writeTar } from "../stream/mod.ts";
import {
  below,
  described,
  type Exported,
  goalOf,
  provenanceOf,
  pushTo,
  requireSession,
  requireTarget,
  sendArchive,
} from "./export.ts";
import type { ArchiveExporter, Exporter, FilesExporter, ImageExporter, ImagePush } from "./exporter.ts";
import { sendDirectory, sendFile } from "./file-send.ts";
import type { ProvenanceOf } from "./history/complete.ts";
import { type BuildKitEngine, type Solving, within } from "./solve.ts";
import type { OwnStep } from "./status.ts";

/** One of the platforms that a build is for. */
export interface Part {
  readonly platform: string;
  /** Is told of its steps. */
  readonly observer: BuildObserver;
}

interface Platforms {
  readonly platforms: readonly string[];
  /** The images, in order. */
  build(parts: readonly Part[]): Promise<readonly Image[]>;
}

/**
 * Builds for each platform and hands out all of them as one: an index, or a directory for each. Images here are for one
 * platform, so none stays. Throws "not-implemented" before anything is built for outputs that cannot hold several.
 */
export async function exportPlatforms(
  engine: BuildKitEngine,
  solving: Solving,
  { platforms, build }: Platforms,
): Promise<Exported> {
  const { exporters, feed } = solving;
  for (const exporter of exporters) {
    requireSeveral(exporter);
    requireTarget(solving, exporter);
  }
  feed.goal = goalOf(exporters[0]);
  const known = engine.imageIds();
  const ordered = nativeLast(engine, platforms);
  const left = (platform: string) => ordered.length - ordered.indexOf(platform) - 1;
  const built = await build(
    ordered.map((platform) => ({ platform, observer: feed.partly({ name: platform, left: left(platform) }) })),
  );
  const images = platforms.flatMap((platform) => built[ordered.indexOf(platform)] ?? []);
  await using undo = new AsyncDisposableStack();
  for (const image of images) if (!known.has(image.id)) undo.defer(() => engine.discard(image));
  let response: Exported["response"] = {};
  for (const [index, exporter] of exporters.entries()) {
    const step = feed.exporting(goalOf(exporter));
    const one = { engine, solving, images, step, index };
    response = { ...response, ...(await within(step, () => exportOne(one, exporter))) };
  }
  const [image] = images;
  if (!image) throw new EngineError("internal", "a build for no platform");
  const provenance: ProvenanceOf[] = [];
  for (const one of images) {
    const platform = formatPlatform(one.config);
    for (const found of await provenanceOf({ engine, solving }, one)) provenance.push({ ...found, platform });
  }
  return { image, response, provenance };
}

/** A base image's name is afterwards the one's that was pulled last, which should be one that runs here. */
function nativeLast(engine: BuildKitEngine, platforms: readonly string[]): readonly string[] {
  const here = engine.worker().platforms;
  const isNative = (text: string) => here.some((one) => matchesPlatform(parsePlatform(text), one));
  return [...platforms.filter((one) => !isNative(one)), ...platforms.filter(isNative)];
}

/** In the words of docker and BuildKit. */
function requireSeveral(exporter: Exporter): void {
  if (exporter.kind === "image" && !exporter.push) {
    const why = "an image here is for one platform; push it (push=true), or take it as type=oci or type=local";
    throw new EngineError("not-implemented", `Multi-platform build is not supported for the docker driver: ${why}`);
  }
  if (exporter.kind === "archive" && exporter.isDocker)
    throw new EngineError("invalid", "docker exporter does not currently support exporting manifest lists");
  if ((exporter.kind === "tar" || exporter.kind === "local") && exporter.split === false)
    throw new EngineError(
      "not-implemented",
      "several platforms with platform-split=false are not implemented by Berth",
    );
}

interface Exporting {
  readonly engine: BuildKitEngine;
  readonly solving: Solving;
  readonly images: readonly Image[];
  readonly step: OwnStep;
  readonly index: number;
}

function exportOne(exporting: Exporting, exporter: Exporter): Promise<Exported["response"]> {
  switch (exporter.kind) {
    case "image":
      return exportIndex(exporting, exporter, exporter.push);
    case "archive":
      return exportArchive(exporting, exporter);
    case "tar":
    case "local":
      return exportFiles(exporting, exporter);
    default:
      return exporter satisfies never;
  }
}

async function exportIndex(
  { engine, solving, images, step }: Exporting,
  exporter: ImageExporter,
  push: ImagePush | undefined,
): Promise<Exported["response"]> {
  const pushed =
    push && (await pushTo({ solving, step, exporter, push }, (ref, options) => engine.pushIndex(images, ref, options)));
  return { ...(pushed && described(pushed)), "image.name": exporter.names.join(",") };
}

async function exportArchive(
  { engine, solving, images, step, index }: Exporting,
  exporter: ArchiveExporter,
): Promise<Exported["response"]> {
  const { names, form } = exporter;
  const bytes = engine.archive(images, { names, signal: solving.signal, asIndex: true, ...(form && { form }) });
  return sendArchive({ solving, exporter, step, index }, bytes);
}

async function exportFiles(
  { engine, solving, images, step, index }: Exporting,
  { kind }: FilesExporter,
): Promise<Exported["response"]> {
  const { signal } = solving;
  const bytes: Bytes = writeTar(allBelow(images, (image) => engine.files(image, signal)));
  const send = kind === "tar" ? sendFile : sendDirectory;
  await send(requireSession(solving), bytes, { signal, index });
  step.status(kind === "tar" ? "sending tarball" : "copying files");
  return {};
}

async function* allBelow(images: readonly Image[], filesOf: (image: Image) => Bytes): AsyncGenerator<TarEntry> {
  for (const image of images) yield* below(image, filesOf(image));
}
