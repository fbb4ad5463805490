import { join } from "node:path";
import { resolveOwner } from "../../rootfs/mod.ts";
import type { Plan, Planned } from "../context.ts";
import { decompressFile } from "../decompress.ts";
import type { CopyOp } from "../graph/vertex.ts";
import { type CopyInput, copyJob } from "../jobs/copy.ts";
import { type SelectOutput, selectJob } from "../jobs/select.ts";
import { type BuildRoot, openRoot } from "../root.ts";
import { checkouts } from "./checkouts.ts";
import { fetchSources } from "./fetch.ts";

/** Sources below one directory. */
interface Group extends SelectOutput {
  readonly root: string;
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
    description: `${keyword} ${op.sources.map(sourceText).join(" ")} ${destination}`,
    shared: op.origin === "stage",
    run: (signal) => copy({ ...planned, build: { ...planned.build, signal } }, { op, groups }),
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
    const root = op.origin === "context" ? build.files.directory : await stageRoot(planned, op);
    groups.push(await selected(planned, { op, root, sources: paths, unpack: op.unpack ?? op.keyword === "ADD" }));
  }
  const fetched = await fetchSources(build, op);
  if (fetched) {
    const { root, names: sources } = fetched;
    groups.push(
      await selected(planned, { op: { ...op, origin: "context" }, root, sources, unpack: op.unpack ?? false }),
    );
  }
  for (const { root, source, exclude, digest } of await checkouts(build, op)) {
    const own: CopyOp = { ...op, origin: "context", exclude: [...op.exclude, ...exclude] };
    const group = await selected(planned, { op: own, root, sources: [source], unpack: false });
    groups.push({ ...group, digest });
  }
  return groups;
}

function stageRoot({ build, inputs }: Planned, op: CopyOp): Promise<string> {
  return build.views.path(op.from && inputs.get(op.from)?.snapshot);
}

interface Sources {
  readonly op: CopyOp;
  readonly root: string;
  readonly sources: readonly string[];
  readonly unpack: boolean;
}

async function selected({ build }: Planned, { op, root, sources, unpack }: Sources): Promise<Group> {
  const { exclude, keyword, parents: deep, origin: where } = op;
  const { workers } = build.context.host;
  const found = await workers.run(
    selectJob,
    { root, sources, exclude, deep, where, keyword },
    { signal: build.signal },
  );
  return { ...found, root, unpack, exclude };
}

async function copy(
  { build, base }: Planned,
  { op, groups }: { op: CopyOp; groups: readonly Group[] },
): Promise<string> {
  await using root = await openRoot(build.context, base?.snapshot);
  const input = {
    to: root.path,
    destination: op.destination,
    ...ownerOf(op, { build, root }),
    ...(op.chmod !== undefined && { mode: op.chmod }),
    link: op.link,
  };
  for (const group of groups) {
    const selected = await withPlain(group, { build, root });
    const job: CopyInput = { ...input, from: group.root, exclude: group.exclude, selected };
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
async function withPlain(group: Group, { build, root }: Working): Promise<CopyInput["selected"]> {
  const items = group.selected.map(async (item, index) => {
    const { compression, ...rest } = item;
    if (!group.unpack || (compression !== "xz" && compression !== "bzip2")) return { ...rest, unpack: group.unpack };
    const plain = join(root.directory, `plain${index}`);
    const from = join(group.root, Buffer.from(item.real, "latin1").toString("utf8"));
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
