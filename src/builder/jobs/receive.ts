import { mkdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import type { Job } from "../../host/mod.ts";
import { ignoreMatcher, readIgnoreFile } from "../../patterns/mod.ts";
import * as fs from "../files/fs.ts";
import { raw, rawBytes, shown } from "../files/raw.ts";
import { inScope } from "../files/scope.ts";
import { unpack } from "../files/unpack.ts";

export interface ReceiveInput {
  /** The archive as it came, less what takes a program to decompress. */
  readonly archive: string;
  /** A directory that does not exist yet. */
  readonly directory: string;
  /** Path of the Dockerfile in the context. */
  readonly dockerfile: string;
}

export interface ReceiveOutput {
  /** False: the archive is none, and nothing was made. */
  readonly archive: boolean;
  readonly dockerfileText: string;
  /** Patterns that were applied to the context, here or by whoever made it. */
  readonly ignore: readonly string[];
}

const largestDockerfile = 16 * 1024 * 1024;

/**
 * Unpacks a build context and reads its Dockerfile. A `NAME.dockerignore` beside the Dockerfile applies to all of the
 * context. `.dockerignore` does not: whoever made the archive has applied it, or meant it to be taken whole; it only says
 * whether the Dockerfile and itself are part of the context (moby `builder/remotecontext/detect.go`, `removeDockerfile`).
 */
export const receiveJob: Job<ReceiveInput, ReceiveOutput> = {
  name: "builder.receive",
  async run({ archive, directory, dockerfile }, context) {
    const root = raw(directory);
    mkdirSync(directory, { mode: 0o755 });
    const found = await unpack({ archive: raw(archive), root, base: () => "", owners: false, context });
    if (!found) return { archive: false, dockerfileText: "", ignore: [] };
    const dockerfileText = readDockerfile(root, dockerfile);
    const own = readText(root, `${dockerfile}.dockerignore`);
    if (own !== undefined) prune(root, ignoreMatcher(readIgnoreFile(own)));
    const general = readIgnoreFile(readText(root, ".dockerignore") ?? "");
    const ignored = ignoreMatcher(general);
    for (const path of [".dockerignore", posix.normalize(dockerfile)]) {
      if (ignored(path)) fs.remove(inScope(root, raw(path), { followLast: false }));
    }
    return { archive: true, dockerfileText, ignore: own === undefined ? general : readIgnoreFile(own) };
  },
};

function readDockerfile(root: string, path: string): string {
  const clean = posix.normalize(path);
  if (clean === ".." || clean.startsWith("../")) {
    throw new EngineError("invalid", `forbidden path outside the build context: ${path}`);
  }
  const text = readText(root, path);
  if (text === undefined) throw new EngineError("invalid", `Cannot locate specified Dockerfile: ${path}`);
  if (text === "") throw new EngineError("invalid", `the Dockerfile (${path}) cannot be empty`);
  return text;
}

function readText(root: string, path: string): string | undefined {
  const file = inScope(root, raw(path), { followLast: true });
  const stat = fs.lstat(file);
  if (!stat?.isFile()) return undefined;
  if (stat.size > BigInt(largestDockerfile)) throw new EngineError("invalid", `${path} is larger than 16 MiB`);
  return readFileSync(rawBytes(file), "utf8");
}

/** Removes what is ignored; a directory that holds something taken back in stays. Returns whether anything stayed. */
function prune(root: string, ignored: (path: string) => boolean, below = ""): boolean {
  let kept = false;
  for (const name of fs.readdir(below === "" ? root : `${root}/${below}`)) {
    const path = below === "" ? name : `${below}/${name}`;
    const stays = !ignored(shown(path));
    const isDirectory = fs.lstat(`${root}/${path}`)?.isDirectory() === true;
    const inside = isDirectory && prune(root, ignored, path);
    if (!stays && !inside) fs.remove(`${root}/${path}`);
    kept ||= stays || inside;
  }
  return kept;
}
