import { EngineError, kindOf, messageOf, wrap } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import { canonical, parseReference, type Reference, withDefaultTag } from "../oci/mod.ts";
import type { RegistryAuth } from "../registry-client/mod.ts";
import type { BuildOptions } from "./builder.ts";
import type { BuilderContext } from "./context.ts";
import type { NeededImage, ResolvedImage } from "./graph/graph.ts";
import { formatPlatform, parsePlatform } from "./graph/platform.ts";

export interface ResolveOptions {
  readonly options: BuildOptions;
  readonly signal: AbortSignal;
}

/** The image that FROM or --from names: the one that is here if it fits, otherwise pulled. Errors name it. */
export async function resolveImage(
  context: BuilderContext,
  needed: NeededImage,
  { options, signal }: ResolveOptions,
): Promise<ResolvedImage> {
  const isId = /^sha256:[0-9a-f]{64}$/.test(needed.name); // a named context's files, which no registry has
  const here = options.pull && !isId ? undefined : imageHere(context, needed);
  if (here) return here;
  const ref = referenceOf(needed);
  const auth = await credentialsFor(ref, { options, signal });
  const progress = options.quiet ? () => undefined : options.progress;
  try {
    return await context.transfer.pull(ref, {
      signal,
      progress,
      ...(auth && { auth }),
      ...(needed.platform !== undefined && { platform: needed.platform }),
    });
  } catch (err) {
    signal.throwIfAborted();
    throw unavailable(err, { needed, ref, words: options.words });
  }
}

interface Unavailable {
  readonly needed: NeededImage;
  readonly ref: Reference;
  readonly words: BuildOptions["words"];
}

function unavailable(err: unknown, { needed: { name }, ref, words }: Unavailable): unknown {
  const reason = messageOf(err);
  if (words) return new EngineError(kindOf(err), words.image({ name, ref: canonical(ref), reason }), { cause: err });
  return reason.includes(name) ? err : wrap(err, name);
}

/** The image of that name, if it is here and fits. */
export function imageHere(
  context: BuilderContext,
  { name, platform }: Pick<NeededImage, "name" | "platform">,
): Image | undefined {
  const image = context.images.find(name);
  const isChosen = image?.id === name; // a named context of this build
  return image && (isChosen || fits(context, { image, platform })) ? image : undefined;
}

function fits(context: BuilderContext, { image, platform }: { image: Image; platform: string | undefined }): boolean {
  if (platform === undefined) return true;
  const wanted = parsePlatform(platform, context.config.platform);
  const { os, architecture, variant } = image.config;
  const has = parsePlatform(formatPlatform({ os, architecture, ...(variant && { variant }) }), context.config.platform);
  const sameVariant = wanted.variant === undefined || wanted.variant === has.variant;
  return has.os === wanted.os && has.architecture === wanted.architecture && sameVariant;
}

function referenceOf({ name }: NeededImage): Reference {
  try {
    return withDefaultTag(parseReference(name));
  } catch (err) {
    throw new EngineError("invalid", `failed to parse stage name ${JSON.stringify(name)}: ${messageOf(err)}`);
  }
}

/** What the client's request, or else its session, has for the registry. */
export async function credentialsFor(
  ref: Reference,
  { options, signal }: ResolveOptions,
): Promise<RegistryAuth | undefined> {
  return authFor(ref, options.registryAuth) ?? (await options.session?.credentials(ref.domain, signal));
}

/** X-Registry-Config is keyed by server address, which for Docker Hub is a URL. */
export function authFor(ref: Reference, auths: BuildOptions["registryAuth"]): RegistryAuth | undefined {
  if (ref.domain === "docker.io") return auths["https://index.docker.io/v1/"] ?? auths["docker.io"];
  return auths[ref.domain] ?? auths[`https://${ref.domain}`] ?? auths[`http://${ref.domain}`];
}
