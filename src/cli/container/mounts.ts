import { homedir } from "node:os";
import { resolve } from "node:path";
import type { MountRequest } from "../../wire/mod.ts";
import { bad, bytesOf, csv, splitOnce } from "./values.ts";

/** `-v`: a relative source (`.`, `./x`, `~/x`) becomes absolute here, since the daemon does not know where we are. */
export function bindOf(given: string, cwd: string): string {
  const [source, rest] = splitOnce(given, ":");
  if (rest === undefined) return given;
  if (source === "~" || source.startsWith("~/")) return `${homedir()}${source.slice(1)}:${rest}`;
  return /^\.{1,2}(\/|$)/.test(source) ? `${resolve(cwd, source)}:${rest}` : given;
}

type Draft = { -readonly [K in keyof MountRequest]: MountRequest[K] };
type Setter = (mount: Draft, value: string, cwd: string) => void;

const truthy = (value: string) => !/^(0|f|false)$/i.test(value);
const bind = (mount: Draft, options: MountRequest["BindOptions"]) => {
  mount.BindOptions = { ...mount.BindOptions, ...options };
};
const volume = (mount: Draft, options: MountRequest["VolumeOptions"]) => {
  mount.VolumeOptions = { ...mount.VolumeOptions, ...options };
};
const target: Setter = (mount, value) => {
  mount.Target = value;
};
const source: Setter = (mount, value, cwd) => {
  mount.Source = /^\.{1,2}(\/|$)/.test(value) ? resolve(cwd, value) : value;
};
const readonly: Setter = (mount, value) => {
  mount.ReadOnly = truthy(value);
};

const setters: Readonly<Record<string, Setter>> = {
  type: (mount, value) => {
    mount.Type = value.toLowerCase();
  },
  source,
  src: source,
  target,
  dst: target,
  destination: target,
  readonly,
  ro: readonly,
  consistency: (mount, value) => {
    mount.Consistency = value;
  },
  "bind-propagation": (mount, value) => bind(mount, { Propagation: value }),
  "bind-nonrecursive": (mount, value) => bind(mount, { NonRecursive: truthy(value) }),
  "bind-recursive": (mount, value) => bind(mount, recursion(value)),
  "volume-subpath": (mount, value) => volume(mount, { Subpath: value }),
  "volume-nocopy": (mount, value) => volume(mount, { NoCopy: truthy(value) }),
  "volume-label": (mount, value) => {
    const [key, text = ""] = splitOnce(value, "=");
    volume(mount, { Labels: { ...mount.VolumeOptions?.Labels, [key]: text } });
  },
  "volume-driver": (mount, value) =>
    volume(mount, { DriverConfig: { ...mount.VolumeOptions?.DriverConfig, Name: value } }),
  "volume-opt": (mount, value) => {
    const [key, text = ""] = splitOnce(value, "=");
    const before = mount.VolumeOptions?.DriverConfig;
    volume(mount, { DriverConfig: { ...before, Options: { ...before?.Options, [key]: text } } });
  },
  "image-subpath": (mount, value) => {
    mount.ImageOptions = { Subpath: value };
  },
  "tmpfs-size": (mount, value) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, SizeBytes: bytesOf("mount", value) };
  },
  "tmpfs-mode": (mount, value) => {
    mount.TmpfsOptions = { ...mount.TmpfsOptions, Mode: Number.parseInt(value, 8) };
  },
};

/** `--mount type=…,src=…,dst=…`. */
export function mountOf(given: string, cwd: string): MountRequest {
  const mount: Draft = { Type: "volume", Target: "" };
  for (const field of csv(given)) {
    const [key, value = "true"] = splitOnce(field, "=");
    const set = setters[key.toLowerCase()];
    if (!set) throw bad("mount", given, `unexpected key '${key}' in '${field}'`);
    set(mount, value, cwd);
  }
  if (mount.Target === "") throw bad("mount", given, "target is required");
  return mount;
}

function recursion(value: string): MountRequest["BindOptions"] {
  switch (value) {
    case "enabled":
      return {};
    case "disabled":
      return { NonRecursive: true };
    case "writable":
      return { ReadOnlyNonRecursive: true };
    case "readonly":
      return { ReadOnlyForceRecursive: true };
    default:
      throw bad("mount", value, "bind-recursive is enabled, disabled, writable or readonly");
  }
}
