import type { Log } from "../log/mod.ts";
import { createEndpoints, type EndpointOptions } from "./endpoints.ts";
import { fetchTarget } from "./fetch.ts";
import type { ClientContext } from "./lookup.ts";
import { hasBlob, pushBlob, pushManifest } from "./push.ts";
import { pushReferrer } from "./referrers.ts";
import type { RegistryClient } from "./registry-client.ts";
import { resolve } from "./resolve.ts";
import { listTags } from "./tags.ts";
import { Tokens } from "./tokens.ts";

export interface RegistryClientOptions extends EndpointOptions {
  readonly log: Log;
  /** Milliseconds before a failed request is tried again; doubles each time. Default 500. */
  readonly retryDelay?: number;
}

/** Throws "invalid" for a malformed mirror or insecure registry. */
export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { log, retryDelay = 500 } = options;
  const context: ClientContext = { endpoints: createEndpoints(options), tokens: new Tokens(), log, retryDelay };
  return {
    resolve: (ref, request) => resolve(context, ref, request),
    fetch: (ref, target, request) => fetchTarget(context, ref, { ...request, target, offset: request.offset ?? 0 }),
    has: (ref, target, request) => hasBlob(context, ref, { ...request, target }),
    pushBlob: (ref, target, body, request) => pushBlob(context, ref, { ...request, target, body }),
    pushManifest: (ref, target, bytes, request) => pushManifest(context, ref, { ...request, target, bytes }),
    pushReferrer: (ref, target, options) => pushReferrer(context, ref, { ...options, target }),
    tags: (ref, request) => listTags(context, ref, request),
  };
}
