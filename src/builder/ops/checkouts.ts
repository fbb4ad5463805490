import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Digest } from "../../oci/mod.ts";
import { gitMaterial } from "../attest/materials.ts";
import { cacheKey } from "../cache.ts";
import type { Build } from "../context.ts";
import { checkoutGit } from "../git/checkout.ts";
import type { CopyOp } from "../graph/vertex.ts";

/** A repository that lies in a directory of its own. */
export interface CheckedOut {
  readonly root: string;
  /** What of it is copied. */
  readonly source: string;
  readonly exclude: readonly string[];
  /** Stands for its files: a commit is always the same. */
  readonly digest: Digest;
}

/** Checks out the repositories of an ADD. */
export async function checkouts(build: Build, op: CopyOp): Promise<CheckedOut[]> {
  const sources = op.sources.flatMap((source) => (source.kind === "git" ? [source.git] : []));
  const { processes } = build.context.host;
  const { signal } = build;
  const { session } = build.options;
  return Promise.all(
    sources.map(async (written) => {
      const git = op.checksum === undefined ? written : { ...written, checksum: op.checksum };
      const root = join(build.directory, `git-${randomBytes(8).toString("hex")}`);
      const commit = await checkoutGit({ processes, git, directory: root, signal, ...(session && { session }) });
      build.materials.push(gitMaterial(git, commit));
      const { subdir, keepGitDir = false, submodules = true } = git;
      return {
        root,
        source: (subdir ?? ".").replace(/[*?[\]\\]/g, "\\$&"),
        exclude: keepGitDir ? [] : ["**/.git"],
        digest: cacheKey(["git", commit, { subdir, keepGitDir, submodules }]),
      };
    }),
  );
}
