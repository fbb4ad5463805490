import { EngineError } from "../../errors/mod.ts";
import type { Platform } from "../../oci/mod.ts";

const architectures: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  x86_64: { architecture: "amd64" },
  "x86-64": { architecture: "amd64" },
  aarch64: { architecture: "arm64" },
  i386: { architecture: "386" },
  armhf: { architecture: "arm", variant: "v7" },
  armel: { architecture: "arm", variant: "v6" },
};

/** `os`, `arch`, `os/arch` or `os/arch/variant` (containerd `platforms.Parse`). Throws "invalid". */
export function parsePlatform(text: string, fallback: Platform): Platform {
  const parts = text.toLowerCase().split("/");
  if (parts.length > 3 || !parts.every((part) => /^[a-z0-9_.-]+$/.test(part))) throw bad(text);
  const [first = "", second, third] = parts;
  if (second === undefined) {
    return ["linux", "windows", "darwin", "freebsd"].includes(first)
      ? { ...fallback, os: first }
      : { os: fallback.os, ...normal(first) };
  }
  const { architecture, variant } = normal(second);
  const wanted = third ?? variant;
  const redundant = architecture === "arm64" && wanted === "v8";
  return { os: first, architecture, ...(wanted !== undefined && !redundant && { variant: wanted }) };
}

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part).join("/");
}

function normal(architecture: string): { architecture: string; variant?: string } {
  return architectures[architecture] ?? { architecture };
}

function bad(text: string): EngineError {
  return new EngineError(
    "invalid",
    `failed to parse platform ${text}: ${JSON.stringify(text)} is an invalid OS component`,
  );
}
