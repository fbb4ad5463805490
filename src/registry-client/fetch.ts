import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type Descriptor, isIndexType, isManifestType, type Reference } from "../oci/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { isPassing, unreachable } from "./failure.ts";
import { type ClientContext, firstAnswer } from "./lookup.ts";
import type { RegistryOptions } from "./registry-client.ts";
import { manifestAccept } from "./resolve.ts";
import type { Session } from "./session.ts";

/** Breaks in a row, without a byte in between, after which a download is given up (docker's number). */
const maxBreaks = 5;

interface Download {
  readonly session: Session;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly size: number;
}

/** See `RegistryClient.fetch`. The first answer is awaited here, so that what does not exist is known before a byte is read. */
export function fetchTarget(
  context: ClientContext,
  ref: Reference,
  options: RegistryOptions & { readonly target: Descriptor; readonly offset: number },
): Promise<Bytes> {
  const { target, offset } = options;
  const isManifest = isManifestType(target.mediaType) || isIndexType(target.mediaType);
  const path = `/v2/${ref.path}/${isManifest ? "manifests" : "blobs"}/${target.digest}`;
  const headers: Record<string, string> = isManifest ? { Accept: manifestAccept } : {};
  return firstAnswer(context, ref, {
    ...options,
    ask: async (session) => {
      const download = { session, path, headers, size: target.size };
      return resuming(download, { at: offset, response: await open(download, offset) });
    },
  });
}

function open({ session, path, headers }: Download, at: number): Promise<Response> {
  const range: Record<string, string> = at > 0 ? { Range: `bytes=${at}-` } : {};
  return session.send({ method: "GET", path, headers: { ...headers, ...range } });
}

/** Goes on where a broken connection stopped. */
async function* resuming(download: Download, start: { at: number; response: Response }): AsyncGenerator<Uint8Array> {
  const { session, size } = download;
  let { at } = start;
  let response: Response | undefined = start.response;
  for (let breaks = 0; ; ) {
    let failure: unknown;
    try {
      response ??= await open(download, at);
      for await (const chunk of bodyFrom(response, at)) {
        if (at + chunk.length > size) throw tooLong(download);
        at += chunk.length;
        breaks = 0;
        yield chunk;
      }
      if (at === size) return;
      failure = new EngineError("unavailable", `Get ${download.path}: unexpected EOF after ${at} of ${size} bytes`);
    } catch (err) {
      session.signal.throwIfAborted();
      failure =
        err instanceof EngineError ? err : unreachable(err, { method: "GET", url: `http://registry${download.path}` });
    }
    response = undefined;
    if (++breaks === maxBreaks || !isPassing(failure)) throw failure;
    await after(session.retryDelay * 2 ** (breaks - 1), session.signal);
  }
}

/** The body from byte `at` on, also when the registry ignored the range and sent everything. */
async function* bodyFrom(response: Response, at: number): AsyncGenerator<Uint8Array> {
  let skip = response.status === 206 ? 0 : at;
  const reader = response.body?.getReader();
  try {
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      const chunk: Uint8Array = next.value;
      if (chunk.length > skip) yield chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
    }
  } finally {
    await reader?.cancel().catch(() => undefined);
  }
}

function tooLong({ path, size }: Download): EngineError {
  return new EngineError("invalid", `${path}: the registry sends more than the ${size} bytes of the descriptor`);
}
