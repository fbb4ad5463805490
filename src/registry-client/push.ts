import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type Descriptor, familiarName, type Reference } from "../oci/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { isPassing, RegistryFailure } from "./failure.ts";
import { type ClientContext, openSession } from "./lookup.ts";
import type { RegistryOptions } from "./registry-client.ts";
import type { Session } from "./session.ts";

const tries = 3;

export type PushOptions = RegistryOptions & {
  readonly target: Descriptor;
  readonly mountFrom?: string;
};

/** See `RegistryClient.has`. */
export async function hasBlob(context: ClientContext, ref: Reference, options: PushOptions): Promise<boolean> {
  const session = pushSession(context, ref, options);
  const path = `/v2/${ref.path}/blobs/${options.target.digest}`;
  return (await explained(ref, () => session.send({ method: "HEAD", path, also: [404] }))).ok;
}

/** See `RegistryClient.pushBlob`. A broken upload starts again from the first byte. */
export async function pushBlob(
  context: ClientContext,
  ref: Reference,
  options: PushOptions & { readonly body: () => Bytes },
): Promise<"uploaded" | "mounted"> {
  const session = pushSession(context, ref, options);
  for (let attempt = 1; ; attempt++) {
    try {
      return await explained(ref, () => uploadOnce(session, ref, options));
    } catch (err) {
      options.signal.throwIfAborted();
      if (attempt === tries || !isPassing(err)) throw err;
      await after(session.retryDelay * 2 ** (attempt - 1), options.signal);
    }
  }
}

async function uploadOnce(
  session: Session,
  ref: Reference,
  { target, body, mountFrom }: PushOptions & { readonly body: () => Bytes },
): Promise<"uploaded" | "mounted"> {
  const mount = mountFrom ? `?mount=${target.digest}&from=${encodeURIComponent(mountFrom)}` : "";
  const path = `/v2/${ref.path}/blobs/uploads/`;
  const started = await session.send({ method: "POST", path: `${path}${mount}` });
  await drop(started);
  if (started.status === 201) return "mounted";
  const headers = { "Content-Type": "application/octet-stream" };
  const sent = await session.send({ method: "PATCH", path: locationOf(started), headers, body });
  await drop(sent);
  const url = new URL(locationOf(sent));
  url.searchParams.set("digest", target.digest);
  await drop(await session.send({ method: "PUT", path: url.href }));
  return "uploaded";
}

/** See `RegistryClient.pushManifest`. */
export async function pushManifest(
  context: ClientContext,
  ref: Reference,
  options: PushOptions & { readonly bytes: Uint8Array },
): Promise<void> {
  const { target, bytes } = options;
  const session = pushSession(context, ref, options);
  const path = `/v2/${ref.path}/manifests/${ref.tag ?? target.digest}`;
  const headers = { "Content-Type": target.mediaType };
  await drop(await explained(ref, () => session.send({ method: "PUT", path, headers, body: () => bytes })));
}

export function pushSession(context: ClientContext, ref: Reference, options: PushOptions): Session {
  const scopes = [`repository:${ref.path}:pull,push`];
  if (options.mountFrom) scopes.push(`repository:${options.mountFrom}:pull`);
  return openSession(context, context.endpoints(ref).push, { ...options, scopes });
}

/** Where to go on: absolute, against the URL that was asked. */
function locationOf(response: Response): string {
  const location = response.headers.get("location") ?? "";
  if (location !== "" && URL.canParse(location, response.url)) return new URL(location, response.url).href;
  throw new EngineError("unavailable", `${response.url}: the registry does not say where the upload goes on`);
}

export async function drop(response: Response): Promise<void> {
  await response.body?.cancel();
}

/** A refusal to push names the repository. */
export async function explained<T>(ref: Reference, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (err) {
    if (!(err instanceof RegistryFailure) || !/^(DENIED|UNAUTHORIZED)$/.test(err.code)) throw err;
    throw new EngineError(err.kind, `push access denied for ${familiarName(ref)}: ${err.message}`, { cause: err });
  }
}
