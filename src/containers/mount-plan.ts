import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { EngineError, kindOf, messageOf } from "../errors/mod.ts";
import type { ContainerConfig, HostConfig, MountRequest } from "../wire/mod.ts";
import { type Bind, isPropagation, parseBind } from "./bind.ts";
import type { MountEntry } from "./mount-entry.ts";
import { parseIdmap } from "./mounts/idmap.ts";

export interface MountWishes {
  readonly hostConfig: HostConfig;
  readonly volumes: ContainerConfig["Volumes"];
  /** Mounts of the containers that `--volumes-from` names, with its ":ro" applied. */
  readonly inherited: readonly MountEntry[];
}

const anonymousName = () => randomBytes(32).toString("hex");

/**
 * The mounts of a new container, before anything is done about them: sources of volumes are still unknown (""), anonymous
 * ones have their name already, so that the row names everything that creation will make. Where several ask for the same
 * destination: binds and mounts replace what `--volumes-from` brings, and an image's volume gives way to all.
 * Throws "invalid" in Docker's words.
 */
export function planMounts({ hostConfig, volumes, inherited }: MountWishes): MountEntry[] {
  const asked = [...(hostConfig.Binds ?? []).map(fromSpec), ...(hostConfig.Mounts ?? []).map(fromRequest)];
  const plan = new Map(inherited.map((entry) => [entry.destination, entry]));
  const taken = new Set<string>();
  for (const entry of asked) {
    if (taken.has(entry.destination)) throw duplicate(entry.destination);
    taken.add(entry.destination);
    plan.set(entry.destination, entry);
  }
  for (const entry of Object.entries(hostConfig.Tmpfs ?? {}).map(fromTmpfs)) {
    if (taken.has(entry.destination)) throw duplicate(entry.destination);
    plan.set(entry.destination, entry);
  }
  for (const path of Object.keys(volumes ?? {})) {
    // An image's VOLUME may be relative; Docker mounts it below the root.
    const entry = volume({ destination: cleanDestination(`/${path}`), name: anonymousName(), anonymous: true });
    if (!plan.has(entry.destination)) plan.set(entry.destination, entry);
  }
  return [...plan.values()];
}

/** `CONTAINER[:ro|rw]` of `--volumes-from`. */
export function parseVolumesFrom(spec: string): { readonly ref: string; readonly readOnly: boolean } {
  if (spec === "") throw new EngineError("invalid", "volumes-from specification cannot be an empty string");
  const [ref = "", mode = "rw", rest] = spec.split(":");
  const words = mode.split(",");
  const known = words.every((word) => ["ro", "rw", "z", "Z"].includes(word));
  if (!known || new Set(words.map((word) => word.toLowerCase().replace("rw", "ro"))).size < words.length) {
    throw new EngineError("invalid", `invalid mode: ${mode}`);
  }
  if (ref === "" || rest !== undefined) {
    throw new EngineError("invalid", `invalid volumes-from specification: ${spec}`);
  }
  return { ref, readOnly: words.includes("ro") };
}

/** Absolute and without dots. Throws "invalid" for a relative path and for "/". */
export function cleanDestination(path: string): string {
  if (!path.startsWith("/")) {
    throw new EngineError("invalid", `invalid mount path: '${path}' mount path must be absolute`);
  }
  const clean = posix.normalize(path).replace(/\/$/, "");
  if (clean === "") throw new EngineError("invalid", "invalid specification: destination can't be '/'");
  return clean;
}

function fromSpec(spec: string): MountEntry {
  const bind = parseBind(spec);
  try {
    return fromBind(bind);
  } catch (err) {
    const why = `invalid mount config for type "${bind.source?.startsWith("/") ? "bind" : "volume"}": ${messageOf(err)}`;
    throw new EngineError(kindOf(err), `invalid volume specification: '${spec}': ${why}`, { cause: err });
  }
}

function fromBind(bind: Bind): MountEntry {
  const destination = cleanDestination(bind.destination);
  const { propagation = "", idmap } = bind;
  const common = { destination, rw: !bind.readOnly, mode: bind.mode, ...idmapOf(idmap, propagation) };
  if (bind.source?.startsWith("/")) {
    if (bind.noCopy) throw new EngineError("invalid", "field VolumeOptions must not be specified");
    const source = posix.normalize(bind.source).replace(/(.)\/$/, "$1");
    return { ...bindMount(source), ...common, propagation, createSource: true };
  }
  if (propagation) throw new EngineError("invalid", "field BindOptions must not be specified");
  const name = bind.source ?? anonymousName();
  const made = volume({ destination, name, anonymous: bind.source === undefined });
  return { ...made, ...common, mode: bind.mode || "z", copyUp: !bind.noCopy };
}

function fromRequest(request: MountRequest): MountEntry {
  const destination = at(request, () => {
    if (request.Target === "") throw new EngineError("invalid", "field Target must not be empty");
    return cleanDestination(request.Target);
  });
  switch (request.Type) {
    case "bind":
      return at(request, () => requestedBind(request, destination));
    case "volume":
      return at(request, () => requestedVolume(request, destination));
    case "tmpfs":
      return at(request, () => requestedTmpfs(request, destination));
    case "image":
      return at(request, () => requestedImage(request, destination));
    case "npipe":
    case "cluster":
      throw new EngineError("not-implemented", `mounts of type ${request.Type} are not implemented`);
    default:
      throw new EngineError("invalid", `invalid mount config for type "${request.Type}": mount type unknown`);
  }
}

function requestedBind(request: MountRequest, destination: string): MountEntry {
  const { Source = "", ReadOnly = false, BindOptions = {} } = request;
  if (Source === "") throw new EngineError("invalid", "field Source must not be empty");
  if (!Source.startsWith("/")) {
    throw new EngineError("invalid", `invalid mount path: '${Source}' mount path must be absolute`);
  }
  refuseOthers(request, "BindOptions");
  const { Propagation = "", ReadOnlyNonRecursive: only = false, ReadOnlyForceRecursive: all = false } = BindOptions;
  if (Propagation !== "" && !isPropagation(Propagation)) {
    throw new EngineError("invalid", `invalid propagation mode: ${Propagation}`);
  }
  if (only && all) {
    const both = "ReadOnlyNonRecursive && ReadOnlyForceRecursive cannot be both set";
    throw new EngineError("invalid", `mount options conflict: ${both}`);
  }
  return {
    ...bindMount(posix.normalize(Source)),
    destination,
    rw: !ReadOnly,
    propagation: Propagation,
    ...idmapOf(request.IDMap, Propagation),
    ...(only && { readOnlyAlone: true }),
    recursive: !BindOptions.NonRecursive,
    createSource: BindOptions.CreateMountpoint ?? false,
  };
}

/** What shows other owners is a mount of its own, which nothing reaches that is mounted later. */
function idmapOf(text: string | undefined, propagation: string): Pick<MountEntry, "idmap"> {
  if (text === undefined) return {};
  if (/^(r?private)?$/.test(propagation)) return { idmap: parseIdmap(text) };
  throw new EngineError("invalid", `mount options conflict: idmap and propagation mode ${propagation}`);
}

function requestedVolume(request: MountRequest, destination: string): MountEntry {
  const options = request.VolumeOptions ?? {};
  refuseOthers(request, "VolumeOptions");
  const anonymous = !request.Source;
  if (options.Subpath) {
    if (anonymous) throw new EngineError("invalid", "must not set Subpath when using anonymous volumes");
    checkSubpath(options.Subpath, "volume");
  }
  if (anonymous && request.ReadOnly) {
    throw new EngineError("invalid", "must not set ReadOnly mode when using anonymous volumes");
  }
  return {
    ...volume({ destination, name: request.Source || anonymousName(), anonymous }),
    rw: !request.ReadOnly,
    mode: "z",
    copyUp: !options.NoCopy && !options.Subpath,
    ...(options.Subpath && { subpath: options.Subpath }),
    ...idmapOf(request.IDMap, ""),
  };
}

/** A look at an image's files: nothing can be written, so there is nothing of it to keep. */
function requestedImage(request: MountRequest, destination: string): MountEntry {
  refuseOthers(request, "ImageOptions");
  if (!request.Source) throw new EngineError("invalid", "field Source must not be empty");
  const subpath = request.ImageOptions?.Subpath;
  if (subpath) checkSubpath(subpath, "image");
  const image = { type: "image", name: request.Source, propagation: "", rw: false } as const;
  return { ...bindMount(""), ...image, destination, ...(subpath && { subpath }) };
}

/** Go's filepath.IsLocal: neither absolute nor out of it. */
function checkSubpath(path: string, of: "volume" | "image"): void {
  const clean = posix.normalize(path);
  if (!posix.isAbsolute(path) && clean !== ".." && !clean.startsWith("../")) return;
  throw new EngineError("invalid", `subpath must be a relative path within the ${of}`);
}

const optionFields = ["BindOptions", "VolumeOptions", "ImageOptions", "TmpfsOptions"] as const;

function refuseOthers(request: MountRequest, own: (typeof optionFields)[number]): void {
  const mapped = own === "BindOptions" || own === "VolumeOptions";
  const fields = mapped ? optionFields : ([...optionFields, "IDMap"] as const);
  const other = fields.find((field) => field !== own && request[field]);
  if (other) throw new EngineError("invalid", `field ${other} must not be specified`);
}

function requestedTmpfs(request: MountRequest, destination: string): MountEntry {
  refuseOthers(request, "TmpfsOptions");
  if (request.Source) throw new EngineError("invalid", "field Source must not be specified");
  const { SizeBytes = 0, Mode = 0, Options = [] } = request.TmpfsOptions ?? {};
  const words = Options.map((option) => option.join("="));
  checkTmpfsWords(words);
  if (SizeBytes > 0) words.push(`size=${SizeBytes}`);
  if (Mode > 0) words.push(`mode=${Mode.toString(8)}`);
  return tmpfs(destination, { words, rw: !request.ReadOnly });
}

function fromTmpfs([path, options]: [string, string]): MountEntry {
  const words = options === "" ? [] : options.split(",");
  checkTmpfsWords(words);
  return tmpfs(cleanDestination(path), { words, rw: !words.includes("ro") });
}

function checkTmpfsWords(words: readonly string[]): void {
  for (const word of words) {
    if (
      !/^(ro|rw|(no)?(suid|dev|exec)|(size|nr_blocks|nr_inodes|mode|uid|gid)=[0-9]+[kKmMgG%]?|r?(private|shared|slave)|(no|rel|strict)?atime|(no)?diratime|sync|async|dirsync|remount|mpol=.*)$/.test(
        word,
      )
    ) {
      const parts = word.split("=").map((part) => JSON.stringify(part));
      throw new EngineError("invalid", `invalid tmpfs option [${parts.join(" ")}]`);
    }
  }
}

function bindMount(source: string): Omit<MountEntry, "destination"> {
  const flags = { rw: true, recursive: true, anonymous: false, copyUp: false, createSource: false };
  return { type: "bind", source, mode: "", propagation: "rprivate", ...flags };
}

function volume(what: { destination: string; name: string; anonymous: boolean }): MountEntry {
  return { ...bindMount(""), type: "volume", propagation: "", copyUp: true, ...what };
}

function tmpfs(destination: string, how: { words: readonly string[]; rw: boolean }): MountEntry {
  return { ...bindMount(""), type: "tmpfs", propagation: "", destination, rw: how.rw, tmpfs: how.words };
}

function duplicate(destination: string): EngineError {
  return new EngineError("invalid", `Duplicate mount point: ${destination}`);
}

function at<T>(request: MountRequest, body: () => T): T {
  try {
    return body();
  } catch (err) {
    if (!(err instanceof EngineError)) throw err;
    throw new EngineError(err.kind, `invalid mount config for type "${request.Type}": ${err.message}`, { cause: err });
  }
}
