import { EngineError, messageOf } from "../errors/mod.ts";
import { type Bytes, fromBuffer } from "../stream/mod.ts";

export interface Fetched {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly bytes: Bytes;
}

/** Downloads what ADD and remote contexts name: http and https only, since a Dockerfile must not read the daemon's files. Throws "invalid", "unavailable". */
export async function fetchUrl(url: string, signal: AbortSignal): Promise<Fetched> {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== "http:" && parsed?.protocol !== "https:") {
    throw new EngineError("invalid", `${url}: http and https URLs can be downloaded`);
  }
  try {
    const { status, statusText, headers, body } = await fetch(parsed, { signal });
    return { status, statusText, headers, bytes: body ?? fromBuffer(new Uint8Array()) };
  } catch (err) {
    if (signal.aborted) throw err;
    throw new EngineError("unavailable", `download of ${url} failed: ${messageOf(err)}`, { cause: err });
  }
}
