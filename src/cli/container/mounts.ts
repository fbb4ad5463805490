import { homedir } from "node:os";
import { resolve } from "node:path";
import { messageOf } from "../../errors/mod.ts";
import { parseBytes } from "../../flags/mod.ts";
import { csv, type MountRequest } from "../../wire/mod.ts";
import { invalid, parseBoolean, splitOnce } from "./values.ts";

/** `-v`: a relative source (`.`, `./x`, `~/x`) becomes absolute here, since the daemon does not know where we are. */
export function bindOf(given: string, cwd: string): string {
  if (given === "") throw invalid("invalid empty volume spec");
  const [source, rest] = splitOnce(given, ":");
  if (rest === undefined) return given;
  if (source === "~" || source.startsWith("~/")) return `${homedir()}${source.slice(1)}:${rest}`;
  return source.startsWith(".") ? `${resolve(cwd, source)}:${rest}` : given;
}

/** The same for the source of a `--mount`. */
export function withAbsoluteSource(mount: MountRequest, cwd: string): MountRequest {
  return mount.Source?.startsWith(".") ? { ...mount, Source: resolve(cwd, mount.Source) } : mount;
}

type Draft = { -readonly [K in keyof MountRequest]: MountRequest[K] };
type Setter = (mount: Draft, text: string, key: string) => void;

const flagged = (text: string, key: string): boolean => {
  const parsed = parseBoolean(text);
  if (parsed === undefined) throw invalid(`invalid value for ${key}: ${text}`);
  return parsed;
};
const bind = (mount: Draft, options: MountRequest["BindOptions"]) => {
  mount.BindOptions = { ...mount.BindOptions, ...options };
};
const volume = (mount: Draft, options: MountRequest["VolumeOptions"]) => {
  mount.VolumeOptions = { ...mount.VolumeOptions, ...options };
};
const target: Setter = (mount, text) => {
  mount.Target = text;
};
const source: Setter = (mount, text) => {
  mount.Source = text;
};
const readonly: Setter = (mount, text, key) => {
  mount.ReadOnly = flagged(text, key);
};

const setters: Readonly<Record<string, Setter>> = {
  type: (mount, text) => {
    mount.Type = text.toLowerCase();
  },
  source,
  src: source,
  target,
  dst: target,
  destination: target,
  readonly,
  ro: readonly,
  consistency: (mount, text) => {
    mount.Consistency = text.toLowerCase();
  },
  "bind-propagation": (mount, text) => bind(mount, { Propagation: text.toLowerCase() }),
  "bind-nonrecursive": (mount, text, key) => bind(mount, { NonRecursive: flagged(text, key) }),
  "bind-create-src": (mount, text, key) => bind(mount, { CreateMountpoint: flagged(text, key) }),
  "bind-recursive": (mount, text) => bind(mount, recursion(text)),
  "volume-subpath": (mount, text) => volume(mount, { Subpath: text }),
  "volume-nocopy": (mount, text, key) => volume(mount, { NoCopy: flagged(text, key) }),
  "volume-label": (mount, text) => {
    const [key, label = ""] = splitOnce(text, "=");
    volume(mount, { Labels: { ...mount.VolumeOptions?.Labels, [key]: label } });
  },
  "volume-driver": (mount, text) =>
    volume(mount, { DriverConfig: { ...mount.VolumeOptions?.DriverConfig, Name: text } }),
  "volume-opt": (mount, text) => {
    const [key, option = ""] = splitOnce(text, "=");
    const before = mount.VolumeOptions?.DriverConfig;
    volume(mount, { DriverConfig: { ...before, Options: { ...before?.Options, [key]: option } } });
  },
  idmap: (mount, text) => {
    mount.IDMap = text === "true" ? "owner" : text;
  },
  "image-subpath": (mount, text) => {
    mount.ImageOptions = { Subpath: text };
  },
  "tmpfs-size": (mount, text) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: parseBytes(text) };
  },
  "tmpfs-opt": (mount, text) => {
    const [key, option] = splitOnce(text, "=");
    const words = option === undefined ? [key] : [key, option];
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Options: [...(mount.TmpfsOptions?.Options ?? []), words] };
  },
  "tmpfs-mode": (mount, text, key) => {
    if (!/^[0-7]+$/.test(text)) throw invalid(`invalid value for ${key}: ${text}`);
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(text, 8) };
  },
};

/** Fields that may stand without a value, and then mean yes. */
const switches = new Set(["readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src", "idmap"]);

/** `--mount type=…,src=…,dst=…`. */
export function parseMount(given: string): MountRequest {
  const mount: Draft = { Type: "volume", Target: "" };
  for (const field of csv(given)) setField(mount, field);
  if (mount.Type === "") throw invalid("type is required");
  if (mount.Target === "") throw invalid("target is required");
  checkOptions(mount);
  return mount;
}

function setField(mount: Draft, field: string): void {
  const [name, given] = splitOnce(field, "=");
  const key = name.toLowerCase();
  const text = given ?? (switches.has(key) ? "true" : undefined);
  if (text === undefined) throw invalid(`invalid field '${field}' must be a key=value pair`);
  const set = Object.hasOwn(setters, key) ? setters[key] : undefined;
  if (!set) throw invalid(`unexpected key '${key}' in '${field}'`);
  try {
    set(mount, text, key);
  } catch (err) {
    throw invalid(messageOf(err));
  }
}

/** Options of one type of mount mean nothing for another. */
function checkOptions(mount: Draft): void {
  const wrong = (option: string) => invalid(`cannot mix '${option}-*' options with mount type '${mount.Type}'`);
  if (mount.IDMap && mount.Type !== "bind" && mount.Type !== "volume")
    throw invalid(`cannot use 'idmap' with mount type '${mount.Type}'`);
  if (mount.VolumeOptions && mount.Type !== "volume") throw wrong("volume");
  if (mount.ImageOptions && mount.Type !== "image") throw wrong("image");
  if (mount.BindOptions && mount.Type !== "bind") throw wrong("bind");
  if (mount.TmpfsOptions && mount.Type !== "tmpfs") throw wrong("tmpfs");
  const { ReadOnlyNonRecursive: writable, ReadOnlyForceRecursive: forced, Propagation } = mount.BindOptions ?? {};
  if ((writable || forced) && !mount.ReadOnly)
    throw invalid(
      `option 'bind-recursive=${forced ? "readonly" : "writable"}' requires 'readonly' to be specified in conjunction`,
    );
  if (forced && Propagation !== "rprivate")
    throw invalid(
      "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
    );
}

function recursion(text: string): MountRequest["BindOptions"] {
  switch (text) {
    case "enabled":
      return {};
    case "disabled":
      return { NonRecursive: true };
    case "writable":
      return { ReadOnlyNonRecursive: true };
    case "readonly":
      return { ReadOnlyForceRecursive: true };
    default:
      throw invalid(
        `invalid value for bind-recursive: ${text} (must be "enabled", "disabled", "writable", or "readonly")`,
      );
  }
}
