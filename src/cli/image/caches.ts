import { resolve } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import type { Descriptor } from "../../oci/mod.ts";
import { type CacheOption, formatCacheOption, type ProgressMessage, parseCacheOption } from "../../wire/mod.ts";
import { type CliIo, tell } from "../io.ts";
import type { BuildFlags } from "./build-flags.ts";
import { CacheDirectory } from "./cache-directory.ts";

/** What `--cache-from` and `--cache-to` come to. */
export interface Caches {
  readonly query: { readonly cachefrom: string; readonly cacheto: string | undefined };
  /** What the daemon may ask for of this machine, by the name that it knows. */
  readonly directories: ReadonlyMap<string, CacheDirectory>;
  /** Passes on all but what names a new cache in a directory, whose index has it then. */
  indexed(lines: AsyncIterable<ProgressMessage>): AsyncIterable<ProgressMessage>;
}

/** Directories to read that hold no cache are told and left out, as BuildKit's clients do. Throws "invalid". */
export async function cachesOf(flags: Pick<BuildFlags, "cache-from" | "cache-to">, io: CliIo): Promise<Caches> {
  const directories = new Map<string, CacheDirectory>();
  const tags = new Map<string, string>();
  const directoryOf = (name: string) => {
    const directory = directories.get(`local:${name}`) ?? new CacheDirectory(resolve(io.cwd, name));
    directories.set(`local:${name}`, directory);
    return directory;
  };
  const from: string[] = [];
  for (const text of flags["cache-from"]) {
    if (!text.startsWith("type=")) from.push(...text.split(","));
    else from.push(...(await sourceOf(parseCacheOption(text), { io, directoryOf })));
  }
  const to = flags["cache-to"].map(parseCacheOption).map((option) => {
    if (option.type !== "local") return formatCacheOption(option);
    const { tag = "latest", ...attributes } = option.attributes;
    const dest = directoryNamed("--cache-to", attributes["dest"], "dest");
    directoryOf(dest);
    tags.set(dest, tag);
    return formatCacheOption({ type: "local", attributes });
  });
  const indexed = (lines: AsyncIterable<ProgressMessage>) =>
    tagging(lines, ({ directory, manifest }) => {
      const tag = tags.get(directory);
      if (tag !== undefined) directoryOf(directory).tag(manifest, tag);
    });
  const cacheto = to.length > 0 ? JSON.stringify(to) : undefined;
  return { query: { cachefrom: JSON.stringify(from), cacheto }, directories, indexed };
}

interface Reading {
  readonly io: CliIo;
  readonly directoryOf: (name: string) => CacheDirectory;
}

async function sourceOf(option: CacheOption, { io, directoryOf }: Reading): Promise<string[]> {
  if (option.type !== "local") return [formatCacheOption(option)];
  const { tag = "latest", digest, ...attributes } = option.attributes;
  const src = directoryNamed("--cache-from", attributes["src"], "src");
  try {
    const found = digest ?? directoryOf(src).find(tag);
    return [formatCacheOption({ type: "local", attributes: { ...attributes, digest: found } })];
  } catch (err) {
    await tell(io, `WARNING: no cache to import from ${src}: ${messageOf(err)}\n`);
    return [];
  }
}

function directoryNamed(flag: string, name: string | undefined, field: string): string {
  if (name) return name;
  throw new EngineError("invalid", `${flag} type=local needs ${field}=DIR`);
}

interface Published {
  readonly directory: string;
  readonly manifest: Descriptor;
}

async function* tagging(
  lines: AsyncIterable<ProgressMessage>,
  tag: (cache: Published) => void,
): AsyncIterable<ProgressMessage> {
  for await (const line of lines) {
    const cache = (line.aux as { Cache?: Published } | undefined)?.Cache;
    if (cache) tag(cache);
    else yield line;
  }
}
