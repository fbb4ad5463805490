import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { parseChallenges } from "./challenge.ts";
import type { Endpoint } from "./endpoints.ts";
import { failureOf, isPassing, unreachable } from "./failure.ts";
import type { RegistryAuth } from "./registry-client.ts";
import { basicHeader, type Tokens } from "./tokens.ts";

export interface SessionOptions {
  readonly endpoint: Endpoint;
  readonly tokens: Tokens;
  readonly auth?: RegistryAuth | undefined;
  readonly signal: AbortSignal;
  /** Such as `repository:library/nginx:pull`. */
  readonly scopes: readonly string[];
  /** Milliseconds before the first of the further tries; doubles each time. */
  readonly retryDelay: number;
}

export interface Call {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the endpoint's base, or a whole URL that the registry gave. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Asked for again when the registry first wants a token. */
  readonly body?: () => Bytes | Uint8Array;
  /** Statuses besides 2xx that are answers, not failures. */
  readonly also?: readonly number[];
}

const maxRedirects = 10;
const tries = 4;

/**
 * Requests to one endpoint on behalf of one user: scheme, authentication, redirects, and further tries after failures that
 * may pass. Credentials go to the endpoint's own origin and its token realm, nowhere else.
 */
export class Session {
  readonly #options: SessionOptions;
  #base: string | undefined;
  #authorization: string | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { registryToken } = options.auth ?? {};
    if (registryToken) this.#authorization = `Bearer ${registryToken}`;
  }

  get signal(): AbortSignal {
    return this.#options.signal;
  }

  get retryDelay(): number {
    return this.#options.retryDelay;
  }

  /** The answer, 2xx or one of `also`. Throws {@link RegistryFailure}, "unavailable". */
  async send(call: Call): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(call);
      } catch (err) {
        if (attempt === tries || !isPassing(err)) throw err;
        await after(this.#options.retryDelay * 2 ** (attempt - 1), this.signal);
      }
    }
  }

  async #once(call: Call): Promise<Response> {
    const base = await this.#findBase();
    const url = /^https?:\/\//.test(call.path) ? call.path : `${base}${call.path}`;
    let response = await this.#follow(call, url);
    if (response.status === 401 && (await this.#authenticate(response))) response = await this.#follow(call, url);
    if (response.ok || call.also?.includes(response.status)) return response;
    throw await failureOf(response, `${call.method} ${call.path}`);
  }

  /** The first base that answers anything. Decided once a session, by the API's root, which costs nothing but a round trip. */
  async #findBase(): Promise<string> {
    const { bases } = this.#options.endpoint;
    const [only] = bases;
    if (bases.length === 1 && only) this.#base = only;
    let failure: unknown;
    for (const base of this.#base ? [] : bases) {
      try {
        const response = await this.#fetch({ method: "GET", path: "" }, `${base}/v2/`);
        await response.body?.cancel();
        if (response.status === 400 && base.startsWith("http:")) continue; // a TLS server, spoken to in the clear
        this.#base = base;
        break;
      } catch (err) {
        this.signal.throwIfAborted();
        failure ??= err;
      }
    }
    if (this.#base === undefined) throw failure ?? new EngineError("unavailable", `No answer from ${bases.join(", ")}`);
    return this.#base;
  }

  async #follow(call: Call, start: string): Promise<Response> {
    let url = start;
    for (let hops = 0; hops <= maxRedirects; hops++) {
      const response = await this.#fetch(call, url);
      const location = response.headers.get("location");
      if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return response;
      await response.body?.cancel();
      url = this.#redirected(url, location);
    }
    throw new EngineError("unavailable", `${call.method} ${start}: stopped after ${maxRedirects} redirects`);
  }

  #redirected(from: string, location: string): string {
    const to = URL.canParse(location, from) ? new URL(location, from) : undefined;
    if (to && /^https?:$/.test(to.protocol)) return to.href;
    throw new EngineError(
      "unavailable",
      `Registry redirects to ${JSON.stringify(location.slice(0, 200))}, which is no http(s) URL`,
    );
  }

  async #fetch(call: Call, url: string): Promise<Response> {
    const { method, body } = call;
    const { insecure } = this.#options.endpoint;
    const own = this.#base !== undefined && new URL(url).origin === new URL(this.#base).origin;
    const headers: Record<string, string> = { "User-Agent": "berth", "Accept-Encoding": "identity", ...call.headers };
    if (own && this.#authorization) headers["Authorization"] = this.#authorization;
    const init: BunFetchRequestInit & { decompress: boolean } = {
      method,
      headers,
      signal: this.signal,
      redirect: "manual",
      decompress: false, // blobs are named by their bytes as they are
      ...(body && { body: body() as BodyInit }),
      ...(insecure && { tls: { rejectUnauthorized: false } }),
    };
    try {
      return await fetch(url, init);
    } catch (err) {
      this.signal.throwIfAborted();
      throw err instanceof EngineError ? err : unreachable(err, { method, url });
    }
  }

  /** Answers a 401's challenge; false when there is nothing (more) to answer it with. */
  async #authenticate(response: Response): Promise<boolean> {
    const refused = this.#authorization;
    const challenges = parseChallenges(response.headers.get("www-authenticate") ?? "");
    const bearer = challenges.find((challenge) => challenge.scheme === "bearer");
    if (bearer) this.#authorization = `Bearer ${await this.#token(bearer, refused !== undefined)}`;
    else if (challenges.some((challenge) => challenge.scheme === "basic")) {
      this.#authorization = basicHeader(this.#options.auth);
    }
    return this.#authorization !== undefined && (bearer !== undefined || this.#authorization !== refused);
  }

  #token(challenge: ReturnType<typeof parseChallenges>[number], fresh: boolean): Promise<string> {
    const { tokens, auth, scopes, endpoint } = this.#options;
    const from = this.#base ?? "";
    const request = { challenge, scopes, auth, signal: this.signal, insecure: endpoint.insecure, from };
    return tokens.get(request, { fresh });
  }
}
