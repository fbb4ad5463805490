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

const systems =
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split(
    " ",
  );
const machines = [
  ...["386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "ppc64", "ppc64le", "loong64", "mips", "mipsle"],
  ...["mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64"],
  "wasm",
];

/** `os`, `arch`, `os/arch` or `os/arch/variant`, errors included (containerd `platforms.Parse`). Throws "invalid". */
export function parsePlatform(text: string, fallback: Platform): Platform {
  const parts = text.split("/");
  for (const [index, part] of parts.entries()) checkPart(text, { part, isSystem: index === 0 });
  if (parts.length > 3) throw bad(`${JSON.stringify(text)}: cannot parse platform specifier`);
  const [first = "", second, third] = parts.map((part) => part.toLowerCase());
  const os = first === "macos" ? "darwin" : first.replace(/\(.*/, "");
  if (second === undefined) {
    if (systems.includes(os)) return { ...fallback, os };
    const { architecture, variant } = normal(first);
    if (!machines.includes(architecture)) {
      throw bad(`${JSON.stringify(text)}: unknown operating system or architecture`);
    }
    return { os: fallback.os, architecture, ...(variant !== undefined && { variant }) };
  }
  const { architecture, variant } = normal(second);
  const wanted = third ?? variant;
  const redundant = architecture === "arm64" && wanted === "v8";
  return { os, architecture, ...(wanted !== undefined && !redundant && { variant: wanted }) };
}

function checkPart(text: string, { part, isSystem }: { part: string; isSystem: boolean }): void {
  const component = "^[A-Za-z0-9_.-]+$";
  const system = "^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.-]*)\\))?$";
  if (new RegExp(isSystem ? system : component).test(part)) return;
  const [shown, whole] = [JSON.stringify(part), JSON.stringify(text)];
  if (!isSystem) {
    const must = `platform specifier component must match ${JSON.stringify(component)}`;
    throw bad(`${shown} is an invalid component of ${whole}: ${must}`);
  }
  const must = `OSAndVersion specifier component must match ${JSON.stringify(system)}`;
  throw bad(`${shown} is an invalid OS component of ${whole}: ${must}`);
}

/** Without the variant that goes without saying (containerd `platforms.Normalize`). */
export function normalPlatform({ os, architecture, variant }: Platform): Platform {
  const redundant = architecture === "arm64" && (variant === "8" || variant === "v8");
  return { os, architecture, ...(variant !== undefined && variant !== "" && !redundant && { variant }) };
}

export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part).join("/");
}

function normal(architecture: string): { architecture: string; variant?: string } {
  return architectures[architecture] ?? { architecture };
}

function bad(problem: string): EngineError {
  return new EngineError("invalid", `${problem}: invalid argument`);
}
