import type { BuildSession, ClientStore } from "../builder/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type Caller, Code, ConnectError } from "../grpc/mod.ts";
import { filesync, secrets, ssh, upload } from "../proto/mod.ts";
import type { RegistryAuth } from "../registry-client/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { contentService, contentStore } from "./content-store.ts";

export interface SessionFacts {
  readonly id: string;
  /** The same for all sessions of one client about one directory; "" when the client does not say. */
  readonly sharedKey: string;
  /** What the client can be asked for, as `/package.Service/Method`. */
  readonly methods: ReadonlySet<string>;
}

/** What a client offers while its builds run: the daemon calls, the client answers. */
export class Session implements BuildSession {
  readonly id: string;
  readonly sharedKey: string;
  readonly caller: Caller;
  readonly #methods: ReadonlySet<string>;

  constructor(caller: Caller, { id, sharedKey, methods }: SessionFacts) {
    this.id = id;
    this.sharedKey = sharedKey;
    this.caller = caller;
    this.#methods = methods;
  }

  /** Names of methods in any case: clients have written `diffcopy` for `DiffCopy`. */
  supports(method: string): boolean {
    return this.#methods.has(method.toLowerCase());
  }

  async secret(id: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    if (!this.supports("/moby.buildkit.secrets.v1.Secrets/GetSecret")) return undefined;
    try {
      return (await this.caller.client(secrets.Secrets).getSecret({ id }, { signal })).data;
    } catch (err) {
      if (err instanceof ConnectError && err.code === Code.NotFound) return undefined;
      throw told(err, `secret ${id}`);
    }
  }

  /** Clients say no with whatever error they like, so that every answer but yes is one. */
  async hasAgent(id: string, signal: AbortSignal): Promise<boolean> {
    if (!this.supports("/moby.sshforward.v1.SSH/CheckAgent")) return false;
    try {
      await this.caller.client(ssh.SSH).checkAgent({ id }, { signal });
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }

  async *agent(id: string, input: Bytes, signal: AbortSignal): Bytes & AsyncGenerator<Uint8Array> {
    const messages = agentMessages(input);
    const headers = { "buildkit.ssh.id": id };
    for await (const { data } of this.caller.client(ssh.SSH).forwardAgent(messages, { headers, signal })) yield data;
  }

  /** What the client reads from its standard input, which it gives a URL of its own (BuildKit session/upload). */
  async *uploaded(url: URL, signal: AbortSignal): Bytes & AsyncGenerator<Uint8Array> {
    const headers = { urlpath: url.pathname, urlhost: url.host };
    try {
      const pieces = this.caller.client(upload.Upload).pull(nothing(), { headers, signal });
      for await (const { data } of pieces) yield data;
    } catch (err) {
      throw told(err, "the client's build context");
    }
  }

  store(id: string): ClientStore | undefined {
    return this.supports(`${contentService}/Read`) ? contentStore(this.caller, id) : undefined;
  }

  async credentials(domain: string, signal: AbortSignal): Promise<RegistryAuth | undefined> {
    if (!this.supports("/moby.filesync.v1.Auth/Credentials")) return undefined;
    const host = domain === "docker.io" ? "registry-1.docker.io" : domain;
    try {
      const { username, secret } = await this.caller.client(filesync.Auth).credentials({ host }, { signal });
      if (secret === "") return undefined;
      return username === "" ? { identityToken: secret } : { username, password: secret };
    } catch (err) {
      throw told(err, `credentials for ${domain}`);
    }
  }
}

async function* nothing(): AsyncGenerator<{ data: Uint8Array }> {
  yield* [];
}

async function* agentMessages(input: Bytes) {
  for await (const data of input) yield { data };
}

/** What a client answered instead of what it was asked for. */
export function told(err: unknown, what: string): unknown {
  if (!(err instanceof ConnectError)) return err;
  return new EngineError("invalid", `${what}: ${err.rawMessage}`, { cause: err });
}
