import { join } from "node:path";
import { resolveOwner } from "../../rootfs/mod.ts";
import type { Plan, Planned, Running } from "../context.ts";
import type { FilesPlace } from "../context-files.ts";
import { decompressFile } from "../decompress.ts";
import type { CopyOp } from "../graph/vertex.ts";
import { type CopyInput, copyJob } from "../jobs/copy.ts";
import type { SelectOutput } from "../jobs/select.ts";
import { type BuildRoot, openRoot } from "../root.ts";
import { checkouts } from "./checkouts.ts";
import { copyAsLayer } from "./copy-layer.ts";
import { fetchSources } from "./fetch.ts";
import { selectFiles } from "./select.ts";

/** Sources below one directory. */
interface Group extends SelectOutput {
  readonly place: () => Promise<FilesPlace>;
  readonly unpack: boolean;
  readonly exclude: readonly string[];
}

/** COPY and ADD: keyed by what they copy, wherever it comes from. */
export async function planCopy(planned: Planned, op: CopyOp): Promise<Plan> {
  const groups = await sourceGroups(planned, op);
  const { keyword, destination, chown, chmod, link, parents, exclude } = op;
  return {
    key: ["copy", { keyword, destination, chown, chmod, link, parents, exclude }, groups.map(keyOf)],
    kind: "copy",
    ...(groups[0] && groups.length === 1 && { listing: groups[0].listing }),
    description: `${keyword} ${op.sources.map(sourceText).join(" ")} ${destination}`,
    shared: op.origin === "stage",
    run: async (base, signal) => {
      const running = { ...planned, base, build: { ...planned.build, signal } };
      const [only] = groups.length === 1 ? groups : [];
      const layer = only && (await copyAsLayer(running, { op, selected: only.selected }));
      return layer ?? (await copy(running, { op, groups }));
    },
  };
}

function keyOf(group: Group): unknown {
  return [group.digest, group.unpack];
}

async function sourceGroups(planned: Planned, op: CopyOp): Promise<Group[]> {
  const { build } = planned;
  const paths = op.sources.flatMap((source) => (source.kind === "path" ? [source.path] : []));
  const groups: Group[] = [];
  if (paths.length > 0) {
    const unpack = op.unpack ?? op.keyword === "ADD";
    groups.push(await (op.origin === "context" ? fromContext : fromStage)(planned, { op, sources: paths, unpack }));
  }
  const fetched = await fetchSources(build, op);
  if (fetched) {
    const { root, names: sources } = fetched;
    groups.push(
      await selected(planned, {
        // What patterns leave out are files of a directory, not what is named or written here.
        op: { ...op, origin: "context", exclude: [] },
        place: { root },
        sources,
        unpack: op.unpack ?? false,
      }),
    );
  }
  for (const { root, source, exclude, digest } of await checkouts(build, op)) {
    const own: CopyOp = { ...op, origin: "context", exclude: [...op.exclude, ...exclude] };
    const group = await selected(planned, { op: own, place: { root }, sources: [source], unpack: false });
    groups.push({ ...group, digest });
  }
  return groups;
}

interface Sources {
  readonly op: CopyOp;
  readonly sources: readonly string[];
  readonly unpack: boolean;
}

async function fromContext(planned: Planned, sources: Sources): Promise<Group> {
  const { place } = planned.build.files;
  if (!place.packed) return selected(planned, { ...sources, place });
  return selectedOnce(planned, { ...sources, place: async () => place, from: place.packed.content });
}

function fromStage(planned: Planned, sources: Sources): Promise<Group> {
  const { build, inputs } = planned;
  const snapshot = sources.op.from && inputs.get(sources.op.from)?.snapshot;
  const place = () => build.views.path(snapshot).then((root) => ({ root }));
  return selectedOnce(planned, { ...sources, place, from: snapshot ?? null });
}

interface Unchanging extends Sources {
  /** Stands for files that never change: a snapshot's, or an archive's by the digest of its contents. */
  readonly from: string | null;
  readonly place: () => Promise<FilesPlace>;
}

/** Finds what was found before, if it is no more than memory should keep. */
async function selectedOnce(planned: Planned, { from, place, ...sources }: Unchanging): Promise<Group> {
  const { selections } = planned.build.context;
  const { op, unpack } = sources;
  const key = JSON.stringify([op.origin, from, sources.sources, op.exclude, op.parents, op.keyword]);
  const known = selections.get(key);
  if (known) return { ...known, place, unpack, exclude: op.exclude };
  const found = await selected(planned, { ...sources, place: await place() });
  const { selected: items, digest, listing } = found;
  if (items.length <= mostRemembered) selections.set(key, { selected: items, digest, listing });
  return { ...found, place };
}

/** Of one COPY: patterns may name any number. */
const mostRemembered = 1000;

async function selected(
  { build }: Planned,
  { op, place, sources, unpack }: Sources & { place: FilesPlace },
): Promise<Group> {
  const { exclude, keyword, parents: deep, origin: where } = op;
  const found = await selectFiles(build, { ...place, sources, exclude, deep, where, keyword });
  return { ...found, place: async () => place, unpack, exclude };
}

async function copy(
  { build, base }: Running,
  { op, groups }: { op: CopyOp; groups: readonly Group[] },
): Promise<string> {
  await using root = await openRoot(build.context, base?.snapshot, build);
  const input = {
    to: root.path,
    destination: op.destination,
    ...ownerOf(op, { build, root }),
    ...(op.chmod !== undefined && { mode: op.chmod }),
    link: op.link,
  };
  for (const group of groups) {
    const place = await group.place();
    const from = place.packed ? await build.files.directory() : place.root;
    const selected = await withPlain({ ...group, from }, { build, root });
    const job: CopyInput = { ...input, from, exclude: group.exclude, selected };
    await build.context.host.workers.run(copyJob, job, { signal: build.signal });
  }
  return await root.commit();
}

interface Working {
  readonly build: Planned["build"];
  readonly root: BuildRoot;
}

/** Files of a context are root's; those of a stage keep their owners. */
function ownerOf(op: CopyOp, { build, root }: Working): Pick<CopyInput, "owner"> {
  if (op.chown !== undefined) return { owner: resolveOwner(build.context.host.rooted(root.path), op.chown) };
  return op.origin === "context" ? { owner: { uid: 0, gid: 0 } } : {};
}

/** What it takes a program to decompress is decompressed beforehand, since workers start none. */
async function withPlain(
  group: Group & { readonly from: string },
  { build, root }: Working,
): Promise<CopyInput["selected"]> {
  const items = group.selected.map(async (item, index) => {
    const { compression, ...rest } = item;
    if (!group.unpack || (compression !== "xz" && compression !== "bzip2")) return { ...rest, unpack: group.unpack };
    const plain = join(root.directory, `plain${index}`);
    const from = join(group.from, Buffer.from(item.real, "latin1").toString("utf8"));
    const good = await decompressFile(build.context.host.processes, {
      format: compression,
      from,
      to: plain,
      signal: build.signal,
    });
    return good ? { ...rest, unpack: true, plain } : { ...rest, unpack: false };
  });
  return Promise.all(items);
}

function sourceText(source: CopyOp["sources"][number]): string {
  if (source.kind === "text") return `<<${source.name}`;
  return source.kind === "path" ? source.path : source.url;
}
