import { EngineError } from "../errors/mod.ts";
import { writeTar } from "../stream/mod.ts";
import { syncFiles } from "./file-sync.ts";
import type { Session } from "./session.ts";
import { type BuildKitEngine, within } from "./solve.ts";
import type { StatusFeed } from "./status.ts";

/** A context beside the main one, which FROM and --from know by its name. */
export type NamedContext =
  | { readonly kind: "image"; readonly ref: string }
  /** What the client calls the directory. */
  | { readonly kind: "local"; readonly directory: string };

/** `docker-image://REF`, `local:NAME` (BuildKit frontend/dockerui/namedcontext.go). Throws "not-implemented" for other kinds. */
export function parseContext(name: string, value: string): NamedContext {
  if (value.startsWith("docker-image://")) return { kind: "image", ref: value.slice("docker-image://".length) };
  if (value.startsWith("local:")) return { kind: "local", directory: value.slice("local:".length) };
  throw new EngineError(
    "not-implemented",
    `the named context ${name}=${value} is not implemented by Berth: directories and images are`,
  );
}

export interface ContextsRequest {
  readonly contexts: Readonly<Record<string, NamedContext>>;
  readonly session: Session | undefined;
  readonly feed: StatusFeed;
  readonly signal: AbortSignal;
  /** Takes the images of directories away again. */
  readonly undo: AsyncDisposableStack;
}

/** What each name stands for: a directory of the client is an image for as long as the build takes. */
export async function openContexts(engine: BuildKitEngine, request: ContextsRequest): Promise<Record<string, string>> {
  const found = Object.entries(request.contexts).map(async ([name, context]) => {
    if (context.kind === "image") return [name, context.ref] as const;
    return [name, await directoryImage(engine, request, { name, directory: context.directory })] as const;
  });
  return Object.fromEntries(await Promise.all(found));
}

async function directoryImage(
  engine: BuildKitEngine,
  { session, feed, signal, undo }: ContextsRequest,
  { name, directory }: { name: string; directory: string },
): Promise<string> {
  if (!session)
    throw new EngineError("invalid", `the named context ${name} is the client's, but the build names no session`);
  const step = feed.own(`[context ${name}] load from client`);
  return within(step, async () => {
    const files = writeTar(syncFiles(session, { directory, signal }));
    const known = await engine.imageIds();
    const image = await engine.import(files, signal);
    if (!known.has(image.id)) undo.defer(() => engine.discard(image));
    return image.id;
  });
}
