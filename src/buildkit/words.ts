import { createHash } from "node:crypto";
import type { FailureWords } from "../builder/mod.ts";

/** BuildKit's words, which its clients' users match on. */
export const words: FailureWords = {
  /** `solver/llbsolver/ops/exec.go` and `errdefs/exit.go`. */
  run: (command, code) => `process ${JSON.stringify(command)} did not complete successfully: exit code: ${code}`,
  /** `solver/edge.go`, `solver/llbsolver/ops/opsutils/contenthash.go` and `cache/contenthash`. */
  missing: (path) =>
    `failed to compute cache key: failed to calculate checksum of ref ${nameless(path)}: ${JSON.stringify(`/${path}`)}: not found`,
  /** `client/llb/sourceresolver` around containerd's `remotes/docker`. */
  image: ({ name, ref, reason }) => `${name}: failed to resolve source metadata for ${ref}: ${because(ref, reason)}`,
};

/** Files have no reference here that anybody could look up; one of BuildKit's has two parts of 25 characters. */
function nameless(path: string): string {
  return ["a", "b"].map((part) => createHash("sha256").update(`${part} ${path}`).digest("hex").slice(0, 25)).join("::");
}

function because(ref: string, reason: string): string {
  if (/^(?:Get|Head) "/.test(reason)) return `failed to do request: ${reason}`;
  return /^manifest for .* not found/.test(reason) ? `${ref}: not found` : reason;
}
