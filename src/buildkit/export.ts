import { EngineError } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import {
  type Descriptor,
  familiar,
  formatPlatform,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../oci/mod.ts";
import { type Bytes, readTar, type TarEntry, writeTar } from "../stream/mod.ts";
import type { ProgressMessage } from "../wire/mod.ts";
import { attestedBy } from "./attestations.ts";
import type { ArchiveExporter, Exporter, FilesExporter, ImageExporter, ImagePush } from "./exporter.ts";
import { sendDirectory, sendFile } from "./file-send.ts";
import type { ProvenanceOf } from "./history/complete.ts";
import { writeLayout } from "./layouts.ts";
import { type BuildKitEngine, type PushOptions, type Solving, within } from "./solve.ts";
import type { OwnStep } from "./status.ts";

/** What a build came to. */
export interface Exported {
  readonly image: Image;
  /** What its client is told, by BuildKit's names. */
  readonly response: Readonly<Record<string, string>>;
  /** Where it was asked for. */
  readonly provenance: readonly ProvenanceOf[];
}

/** Builds once, and hands out all that was asked for, in order. What is not to be an image here leaves none, unless it was here before. */
export async function exportBuild(
  engine: BuildKitEngine,
  solving: Solving,
  build: (tags: readonly string[]) => Promise<Image>,
): Promise<Exported> {
  const { exporters, feed } = solving;
  for (const exporter of exporters) requireTarget(solving, exporter);
  feed.goal = goalOf(exporters[0]);
  const kept = exporters.flatMap((one) => (one.kind === "image" && one.stays ? [one] : []));
  const known = kept.length > 0 ? undefined : engine.imageIds();
  const image = await build([...new Set(kept.flatMap(tagsOf))]);
  await using undo = new AsyncDisposableStack();
  if (known && !known.has(image.id)) undo.defer(() => engine.discard(image));
  let response: Exported["response"] = {};
  for (const [index, exporter] of exporters.entries()) {
    const step = feed.exporting(goalOf(exporter));
    const one = { engine, solving, image, step, index };
    response = { ...response, ...(await within(step, () => exportOne(one, exporter))) };
  }
  return { image, response, provenance: await provenanceOf({ engine, solving }, image) };
}

/** While the image is there. */
export async function provenanceOf(
  { engine, solving }: Pick<Exporting, "engine" | "solving">,
  image: Image,
): Promise<ProvenanceOf[]> {
  const { provenance } = attestedBy(solving.exporters, solving.options.attest);
  const found = provenance && (await engine.provenance(image));
  return found ? [found] : [];
}

/** Throws "invalid" before anything is built. */
export function requireTarget(solving: Solving, exporter: Exporter): void {
  if (exporter.kind !== "image") requireSession(solving);
  else if (exporter.push) targetsOf(exporter, exporter.push);
}

interface Exporting {
  readonly engine: BuildKitEngine;
  readonly solving: Solving;
  readonly image: Image;
  readonly step: OwnStep;
  /** Of the output among all, by which the client knows it. */
  readonly index: number;
}

/** As BuildKit's last steps have it. */
export function goalOf(exporter: Exporter | undefined): string {
  if (!exporter || exporter.kind === "image") return "image";
  return exporter.kind === "local" ? "client directory" : "client tarball";
}

/** What is pushed by its digest alone has no tag here either. */
function tagsOf({ names, push }: ImageExporter): readonly string[] {
  return push?.byDigest ? [] : names;
}

function exportOne(exporting: Exporting, exporter: Exporter): Promise<Exported["response"]> {
  switch (exporter.kind) {
    case "image":
      return exportImage(exporting, exporter);
    case "archive":
      return exportArchive(exporting, exporter);
    case "tar":
    case "local":
      return exportFiles(exporting, exporter);
    default:
      return exporter satisfies never;
  }
}

async function exportImage(exporting: Exporting, exporter: ImageExporter): Promise<Exported["response"]> {
  const { image, step } = exporting;
  const { names, push } = exporter;
  if (exporter.stays) {
    step.status(`writing image ${image.id}`);
    for (const name of tagsOf(exporter)) step.status(`naming to ${canonical(name)}`);
  }
  const pushed = push && (await pushAll(exporting, exporter, push));
  return {
    ...configDigest(image),
    ...(pushed ? described(pushed) : { "containerimage.digest": image.id }),
    ...(names.length > 0 && { "image.name": names.join(",") }),
  };
}

/** Throws "invalid" for names that cannot be pushed. */
function targetsOf({ names }: ImageExporter, { byDigest }: ImagePush): Reference[] {
  if (names.length === 0) throw new EngineError("invalid", "tag is needed when pushing to registry");
  return names.map((name) => {
    const ref = parseReference(name);
    if (ref.digest) throw new EngineError("invalid", `cannot push ${name}: a digest is not chosen`);
    if (byDigest && ref.tag) throw new EngineError("invalid", `can't push tagged ref ${name} by digest`);
    return byDigest ? ref : withDefaultTag(ref);
  });
}

/** The same image under each name; one manifest for all. */
function pushAll(
  { engine, solving, image, step }: Exporting,
  exporter: ImageExporter,
  push: ImagePush,
): Promise<Descriptor | undefined> {
  return pushTo({ solving, step, exporter, push }, (ref, options) => engine.push(image, ref, options));
}

export interface Pushing {
  readonly solving: Solving;
  readonly step: OwnStep;
  readonly exporter: ImageExporter;
  readonly push: ImagePush;
}

/** Tells of a push under each name. Returns what is there under the last. */
export async function pushTo(
  { solving, step, exporter, push }: Pushing,
  send: (ref: Reference, options: PushOptions) => Promise<Descriptor>,
): Promise<Descriptor | undefined> {
  const { options, session, signal } = solving;
  const { form } = push;
  let pushed: Descriptor | undefined;
  step.status("pushing layers");
  for (const ref of targetsOf(exporter, push)) {
    const given = { registryAuth: options.registryAuth, ...(session && { session }), ...(form && { form }) };
    pushed = await send(ref, { ...given, progress: layerProgress(step), signal });
    step.status(`pushing manifest for ${canonical(familiar(ref))}@${pushed.digest}`);
  }
  return pushed;
}

function layerProgress(step: OwnStep): (message: ProgressMessage) => void {
  return ({ id, progressDetail: { current, total } = {} }) => {
    if (id !== undefined && current !== undefined && total) step.status(`pushing layer ${id}`, { current, total });
  };
}

async function exportArchive(
  { engine, solving, image, step, index }: Exporting,
  exporter: ArchiveExporter,
): Promise<Exported["response"]> {
  const { names, form } = exporter;
  const bytes = engine.archive([image], { names, signal: solving.signal, ...(form && { form }) });
  const response = await sendArchive({ solving, exporter, step, index }, bytes);
  return { ...configDigest(image), "containerimage.digest": image.id, ...response };
}

export interface ArchiveSending {
  readonly solving: Solving;
  readonly exporter: ArchiveExporter;
  readonly step: OwnStep;
  readonly index: number;
}

/** As one file, or into the client's content store, which BuildKit's clients call `export` and make an index for themselves. */
export async function sendArchive(
  { solving, exporter, step, index }: ArchiveSending,
  bytes: Bytes,
): Promise<Exported["response"]> {
  const { signal } = solving;
  const { names, isDirectory } = exporter;
  const session = requireSession(solving);
  const named = names.length > 0 ? { "image.name": names.join(",") } : {};
  if (!isDirectory) {
    await sendFile(session, bytes, { signal, index });
    step.status("sending tarball");
    return named;
  }
  const store = session.store("export");
  if (!store) throw new EngineError("invalid", "the client takes no files: name where the output goes");
  const listed = await writeLayout(store, bytes, signal);
  step.status("sending layout");
  return { ...described(listed), ...named };
}

async function exportFiles(
  { engine, solving, image, step, index }: Exporting,
  { kind, split }: FilesExporter,
): Promise<Exported["response"]> {
  const { signal } = solving;
  const files = engine.files(image, signal);
  const bytes = split ? writeTar(below(image, files)) : files;
  const send = kind === "tar" ? sendFile : sendDirectory;
  await send(requireSession(solving), bytes, { signal, index });
  step.status(kind === "tar" ? "sending tarball" : "copying files");
  return {};
}

/** The entries of an archive of its files, in a directory that has its platform's name. */
export async function* below({ config }: Image, tar: Bytes): AsyncGenerator<TarEntry> {
  const directory = formatPlatform(config).replaceAll("/", "_");
  const inside = (name: Uint8Array) =>
    Buffer.concat([
      Buffer.from(`${directory}/`),
      Buffer.from(
        Buffer.from(name)
          .toString("latin1")
          .replace(/^(?:\.\/|\/)+/, ""),
        "latin1",
      ),
    ]);
  for await (const { header, content } of readTar(tar)) {
    const { name, type, linkname } = header;
    const link = linkname && type === "hardlink" ? { linkname: inside(linkname) } : {};
    yield { header: { ...header, name: inside(name), ...link }, content };
  }
}

export function requireSession({ session }: Solving) {
  if (session) return session;
  throw new EngineError("invalid", "the output goes to the client, but the build names no session");
}

function configDigest({ id }: Image) {
  return { "containerimage.config.digest": id };
}

export function described(pushed: Descriptor): Record<string, string> {
  const { mediaType, digest, size } = pushed;
  const json = JSON.stringify({ mediaType, digest, size });
  return {
    "containerimage.digest": digest,
    "containerimage.descriptor": Buffer.from(json).toString("base64"),
  };
}

function canonical(tag: string): string {
  return familiar(withDefaultTag(parseReference(tag)));
}
