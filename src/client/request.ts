import type { ClientRequest } from "./client.ts";

const newest = "1.51";

/** Path and query of a request, under the API version that this program speaks. */
export function requestPath({ path, query = {} }: ClientRequest): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined) params.append(key, typeof one === "boolean" ? (one ? "1" : "0") : String(one));
    }
  }
  const text = params.toString();
  return `/v${newest}${path}${text === "" ? "" : `?${text}`}`;
}

export function requestHeaders(request: ClientRequest): Record<string, string> {
  const type = request.contentType ?? (request.body === undefined ? undefined : "application/json");
  return { ...(type !== undefined && { "Content-Type": type }), ...request.headers };
}
