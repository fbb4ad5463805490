import { EngineError, messageOf } from "../errors/mod.ts";
import type { Log } from "../log/mod.ts";
import { familiar, familiarName, type Reference, withDefaultTag } from "../oci/mod.ts";
import type { Endpoint, Endpoints } from "./endpoints.ts";
import { RegistryFailure } from "./failure.ts";
import type { RegistryOptions } from "./registry-client.ts";
import { Session } from "./session.ts";
import type { Tokens } from "./tokens.ts";

/** What the client's verbs work with. */
export interface ClientContext {
  readonly endpoints: Endpoints;
  readonly tokens: Tokens;
  readonly log: Log;
  readonly retryDelay: number;
}

/** Starts a session for pulling (`pull`) or pushing (`pull,push`) at an endpoint. The user's credentials are the registry's, not a mirror's. */
export function openSession(
  context: ClientContext,
  endpoint: Endpoint,
  request: RegistryOptions & { readonly scopes: readonly string[] },
): Session {
  const { tokens, retryDelay } = context;
  const { signal, scopes } = request;
  const auth = endpoint.mirror ? undefined : request.auth;
  return new Session({ endpoint, tokens, auth, signal, scopes, retryDelay });
}

/**
 * Asks a repository's endpoints in turn, mirrors first, until one has an answer. When none has, the registry's own reason
 * is thrown in docker's words; if it could not be reached, but a mirror said that the image is not there, both are named.
 */
export async function firstAnswer<T>(
  context: ClientContext,
  ref: Reference,
  options: RegistryOptions & { readonly ask: (session: Session) => Promise<T> },
): Promise<T> {
  const failures: unknown[] = [];
  for (const endpoint of context.endpoints(ref).pull) {
    const session = openSession(context, endpoint, { ...options, scopes: [pullScope(ref)] });
    try {
      return await options.ask(session);
    } catch (err) {
      options.signal.throwIfAborted();
      if (endpoint.mirror) context.log.info("Mirror did not answer", { mirror: endpoint.bases[0], error: err });
      failures.push(err);
    }
  }
  throw explain(ref, failures);
}

export function pullScope(ref: Reference): string {
  return `repository:${ref.path}:pull`;
}

/** Docker's own sentences about what cannot be pulled (moby `daemon/internal/distribution/errors.go`). */
export function inDockersWords(err: unknown, ref: Reference): unknown {
  if (!(err instanceof RegistryFailure)) return err;
  const because = { cause: err };
  switch (err.code) {
    case "DENIED":
    case "UNAUTHORIZED": {
      const name = familiarName(ref);
      const text = `pull access denied for ${name}, repository does not exist or may require 'docker login': ${err.message}`;
      return new EngineError("not-found", text, because);
    }
    case "MANIFEST_UNKNOWN":
      return new EngineError(
        "not-found",
        `manifest for ${familiar(withDefaultTag(ref))} not found: ${err.message}`,
        because,
      );
    case "NAME_UNKNOWN":
      return new EngineError("not-found", `repository ${familiarName(ref)} not found: ${err.message}`, because);
    default:
      return err;
  }
}

/** Which of the failures, the registry's own last, is the reason to tell. */
export function explain(ref: Reference, failures: readonly unknown[]): unknown {
  const last = inDockersWords(failures.at(-1), ref);
  if (failures.length < 2 || last instanceof RegistryFailure) return last;
  if (last instanceof EngineError && last.kind !== "unavailable") return last;
  const missing = failures
    .map((err) => inDockersWords(err, ref))
    .find((err) => err instanceof EngineError && err.kind === "not-found");
  if (missing)
    return new EngineError("not-found", `${messageOf(missing)} (on the mirror; and ${messageOf(last)})`, {
      cause: last,
    });
  return last;
}
