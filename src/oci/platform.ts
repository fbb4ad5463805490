import { EngineError } from "../errors/mod.ts";
import type { Descriptor, Platform } from "./image.ts";

const architectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
  ia32: "386",
  i386: "386",
  i686: "386",
  armhf: "arm",
};

/** What images for this machine are made for. `machine` is named as Node or uname(1) do. */
export function defaultPlatform(machine: string = process.arch): Platform {
  return normalizePlatform({ os: "linux", architecture: machine });
}

/** Parses `os/arch[/variant]`, `arch` or `os`, as `--platform` takes them. Throws "invalid". */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split("/");
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9][a-z0-9_.-]*$/.test(part))) {
    throw new EngineError("invalid", `${JSON.stringify(text.slice(0, 100))} is an invalid platform: OS/ARCH[/VARIANT]`);
  }
  const [os = "linux", architecture, variant] = parts;
  if (architecture) return normalizePlatform({ os, architecture, ...(variant && { variant }) });
  return os === "linux" ? defaultPlatform() : normalizePlatform({ os: "linux", architecture: os });
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join("/");
}

/** Other spellings of an architecture, and variants that mean "the usual one" (containerd `platforms/database.go`). */
export function normalizePlatform(platform: Platform): Platform {
  const lower = platform.architecture.toLowerCase();
  const architecture = architectures[lower] ?? lower;
  const variant = platform.variant?.toLowerCase() ?? (lower === "armhf" ? "v7" : undefined);
  const usual = { amd64: "v1", arm64: "v8", arm: "" }[architecture];
  const kept = architecture === "arm" ? (variant ?? "v7") : variant === usual || variant === "8" ? undefined : variant;
  return { os: platform.os.toLowerCase(), architecture, ...(kept && { variant: kept }) };
}

/** True when software for `have` runs where `want` is asked for: same variant or an older one. */
export function matchesPlatform(want: Platform, have: Platform): boolean {
  return distance(normalizePlatform(want), normalizePlatform(have)) !== undefined;
}

/** The entry of an index that fits best; entries without a platform come last. Undefined when none fits. */
export function choosePlatform(manifests: readonly Descriptor[], want: Platform): Descriptor | undefined {
  let best: { entry: Descriptor; cost: number } | undefined;
  for (const entry of manifests) {
    const cost = entry.platform ? distance(normalizePlatform(want), normalizePlatform(entry.platform)) : 1000;
    if (cost !== undefined && (!best || cost < best.cost)) best = { entry, cost };
  }
  return best?.entry;
}

function distance(want: Platform, have: Platform): number | undefined {
  if (want.os !== have.os || want.architecture !== have.architecture) return undefined;
  if (want.variant === have.variant) return 0;
  const usual = want.architecture === "arm64" ? 8 : 1;
  const steps = levelOf(want.variant, usual) - levelOf(have.variant, usual);
  return steps >= 0 ? steps : undefined;
}

/** `v7` is 7; a variant that is no level is above every one, so that only the very same matches. */
function levelOf(variant: string | undefined, usual: number): number {
  if (variant === undefined) return usual;
  const level = Number(variant.replace(/^v/, ""));
  return Number.isNaN(level) ? Number.POSITIVE_INFINITY : level;
}
