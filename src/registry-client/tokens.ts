import { EngineError } from "../errors/mod.ts";
import type { Challenge } from "./challenge.ts";
import { failureOf, unreachable } from "./failure.ts";
import type { RegistryAuth } from "./registry-client.ts";

export interface TokenRequest {
  readonly challenge: Challenge;
  readonly scopes: readonly string[];
  readonly auth?: RegistryAuth | undefined;
  readonly signal: AbortSignal;
  /** TLS options of the endpoint that asked. */
  readonly insecure: boolean;
  /** The URL that was refused. */
  readonly from: string;
}

interface Known {
  readonly token: string;
  readonly expires: number;
}

/** Seconds a token lasts when its issuer does not say (distribution, `docs/spec/auth/token.md`), and the margin kept. */
const defaultLife = 60;
const margin = 10;

/** Bearer tokens, kept until shortly before they expire. */
export class Tokens {
  readonly #known = new Map<string, Known>();

  /** Asks the realm of the challenge, as an OAuth2 client when there is a refresh token, else with GET and Basic. Throws "unauthorized". */
  async get(request: TokenRequest, options: { readonly fresh: boolean }): Promise<string> {
    const { realm, service } = this.#realmOf(request);
    const key = JSON.stringify([realm.href, service, request.scopes, request.auth ?? null]);
    const known = this.#known.get(key);
    if (known && !options.fresh && known.expires > Date.now()) return known.token;
    const answer = await ask(request, { realm, service });
    this.#forgetExpired();
    this.#known.set(key, answer);
    return answer.token;
  }

  #realmOf({ challenge, from, auth, insecure }: TokenRequest): { realm: URL; service: string } {
    const text = challenge.parameters.get("realm") ?? "";
    const realm = URL.canParse(text, from) ? new URL(text, from) : undefined;
    if (!realm || !/^https?:$/.test(realm.protocol)) {
      throw new EngineError(
        "unauthorized",
        `Registry names no usable token realm: ${JSON.stringify(text.slice(0, 200))}`,
      );
    }
    const secret = auth?.password ?? auth?.identityToken;
    if (secret && realm.protocol === "http:" && !(insecure && from.startsWith("http:"))) {
      throw new EngineError("unauthorized", `Refusing to send credentials in the clear to ${realm.origin}`);
    }
    return { realm, service: challenge.parameters.get("service") ?? "" };
  }

  #forgetExpired(): void {
    for (const [key, { expires }] of this.#known) if (expires <= Date.now()) this.#known.delete(key);
  }
}

async function ask(request: TokenRequest, to: { realm: URL; service: string }): Promise<Known> {
  const { auth, signal, insecure } = request;
  const { method, url, init } = auth?.identityToken ? withRefreshToken(request, to) : withBasic(request, to);
  const tls = insecure ? { tls: { rejectUnauthorized: false } } : {};
  const response = await fetch(url, { ...init, method, signal, redirect: "manual", ...tls }).catch((err: unknown) => {
    signal.throwIfAborted();
    throw unreachable(err, { method, url });
  });
  if (!response.ok) throw await failureOf(response, `token from ${to.realm.origin}`);
  return tokenOf(await response.json().catch(() => undefined), to.realm);
}

function withBasic({ scopes, auth }: TokenRequest, to: { realm: URL; service: string }) {
  const url = new URL(to.realm);
  if (to.service) url.searchParams.set("service", to.service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (auth?.username) url.searchParams.set("account", auth.username);
  const basic = basicHeader(auth);
  return { method: "GET", url: url.href, init: { headers: basic ? { Authorization: basic } : {} } };
}

function withRefreshToken({ scopes, auth }: TokenRequest, to: { realm: URL; service: string }) {
  const body = new URLSearchParams({ grant_type: "refresh_token", client_id: "berth", service: to.service });
  body.set("refresh_token", auth?.identityToken ?? "");
  if (scopes.length > 0) body.set("scope", scopes.join(" "));
  return { method: "POST", url: to.realm.href, init: { body } };
}

function tokenOf(json: unknown, realm: URL): Known {
  const { token, access_token, expires_in } = (json ?? {}) as Record<string, unknown>;
  const text = token || access_token;
  if (typeof text !== "string" || /[^\x21-\x7e]/.test(text)) {
    throw new EngineError(
      "unauthorized",
      `authorization server ${realm.origin} did not include a token in the response`,
    );
  }
  const life = typeof expires_in === "number" && expires_in > 0 ? expires_in : defaultLife;
  return { token: text, expires: Date.now() + Math.max(1, life - margin) * 1000 };
}

/** `Basic …`, when there is a user name. */
export function basicHeader(auth: RegistryAuth | undefined): string | undefined {
  if (!auth?.username) return undefined;
  return `Basic ${Buffer.from(`${auth.username}:${auth.password ?? ""}`).toString("base64")}`;
}
