import { EngineError, isKind, messageOf } from "../errors/mod.ts";
import { type Descriptor, type Digest, decodeIndex, digestOf, hexOf, mediaTypes, type Reference } from "../oci/mod.ts";
import type { ClientContext } from "./lookup.ts";
import { drop, explained, type PushOptions, pushSession } from "./push.ts";
import { readManifest } from "./resolve.ts";
import type { Session } from "./session.ts";

export type ReferrerOptions = PushOptions & {
  readonly bytes: Uint8Array;
  /** The manifest that it refers to. */
  readonly subject: Digest;
};

/**
 * See `RegistryClient.pushReferrer`. A registry that knows of referrers says so with OCI-Subject; where one does not, a tag
 * lists them (OCI distribution-spec 1.1, "Pushing Manifests with Subject", "Referrers Tag Schema").
 */
export async function pushReferrer(context: ClientContext, ref: Reference, options: ReferrerOptions): Promise<void> {
  const { target, bytes, subject } = options;
  const session = pushSession(context, ref, options);
  const path = `/v2/${ref.path}/manifests/${target.digest}`;
  const headers = { "Content-Type": target.mediaType };
  const put = () => session.send({ method: "PUT", path, headers, body: () => bytes });
  const response = await explained(ref, put);
  await drop(response);
  if (response.headers.get("oci-subject") !== null) return;
  await explained(ref, () => list(session, { path: `/v2/${ref.path}/manifests/sha256-${hexOf(subject)}`, target }));
}

interface Listing {
  readonly path: string;
  readonly target: Descriptor;
}

/** Two that do this at once may lose one of them, as the specification says; a later push puts it back. */
async function list(session: Session, { path, target }: Listing): Promise<void> {
  const known = await listed(session, path);
  if (known.some(({ digest }) => digest === target.digest)) return;
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [...known, target] };
  const body = Buffer.from(JSON.stringify(index));
  const headers = { "Content-Type": mediaTypes.index };
  await drop(await session.send({ method: "PUT", path, headers, body: () => body }));
}

async function listed(session: Session, path: string): Promise<readonly Descriptor[]> {
  const headers = { Accept: mediaTypes.index };
  const response = await session.send({ method: "GET", path, headers, also: [404] });
  if (response.status === 404) {
    await drop(response);
    return [];
  }
  const bytes = await readManifest(response, path);
  try {
    return decodeIndex(bytes, mediaTypes.index).manifests;
  } catch (err) {
    if (!isKind(err, "invalid")) throw err;
    throw new EngineError("conflict", `${path} (${digestOf(bytes)}) is no list of referrers: ${messageOf(err)}`);
  }
}
