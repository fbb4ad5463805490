import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Client } from "../../client/mod.ts";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { Code, ConnectError, type ConnectRouter, serveOver } from "../../grpc/mod.ts";
import { filesync, secrets, ssh } from "../../proto/mod.ts";
import type { CliIo } from "../io.ts";
import type { CacheDirectory } from "./cache-directory.ts";
import { contentMethods, contentService } from "./cache-service.ts";
import { fileSender } from "./file-sender.ts";
import type { SecretFlag, SshFlag } from "./session-flags.ts";
import { agentConnection } from "./ssh-agent.ts";

export interface SessionFlags {
  readonly secret: readonly SecretFlag[];
  readonly ssh: readonly SshFlag[];
  /** Named contexts that are directories here, by their names. */
  readonly directories: ReadonlyMap<string, string>;
  /** Directories of caches, by the names that the daemon has for them. */
  readonly caches: ReadonlyMap<string, CacheDirectory>;
}

export interface BuildSession extends AsyncDisposable {
  readonly id: string;
}

const methods = [
  "/moby.buildkit.secrets.v1.Secrets/GetSecret",
  "/moby.sshforward.v1.SSH/CheckAgent",
  "/moby.sshforward.v1.SSH/ForwardAgent",
  "/moby.filesync.v1.FileSync/DiffCopy",
  ...contentMethods,
];

/**
 * Opens the session in which the daemon asks for a build's secrets, agents and directories; disposing ends it. Values are read when they are
 * asked for. Throws "invalid" for a file or an agent that is not there.
 */
export async function openBuildSession(client: Client, flags: SessionFlags, io: CliIo): Promise<BuildSession> {
  const values = new Map(flags.secret.map((one) => [one.id, secretSource(one, io)]));
  const agents = new Map(flags.ssh.map((one) => [one.id, agentSocket(one, io)]));
  const id = crypto.randomUUID();
  const headers = {
    "X-Docker-Expose-Session-Uuid": id,
    "X-Docker-Expose-Session-Name": "berth",
    "X-Docker-Expose-Session-Grpc-Method": methods.join(", "),
  };
  const stream = await client.hijack({ method: "POST", path: "/session", headers, upgrade: "h2c" });
  const stop = new AbortController();
  const routes = (router: ConnectRouter): void => {
    services({ values, agents, directories: flags.directories })(router);
    contentService(flags.caches)(router);
  };
  const connection = {
    input: stream.output,
    write: (bytes: Uint8Array) => stream.write(bytes),
    close: () => stream.close(),
  };
  const served = serveOver(connection, { routes, signal: stop.signal });
  return {
    id,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await served;
    },
  };
}

interface Offered {
  readonly values: ReadonlyMap<string, () => Uint8Array>;
  /** Sockets. */
  readonly agents: ReadonlyMap<string, string>;
  readonly directories: ReadonlyMap<string, string>;
}

function services({ values, agents, directories }: Offered) {
  const agent = (id: string): string => {
    const path = agents.get(id || "default");
    if (path === undefined) throw new ConnectError(`unset ssh forward key ${id}`, Code.NotFound);
    return path;
  };
  return (router: ConnectRouter): void => {
    router.service(secrets.Secrets, {
      getSecret: ({ id }) => {
        const value = values.get(id);
        if (!value) throw new ConnectError(`secret ${id}: not found`, Code.NotFound);
        return { data: value() };
      },
    });
    router.service(ssh.SSH, {
      checkAgent: ({ id }) => {
        agent(id);
        return {};
      },
      async *forwardAgent(messages, { requestHeader }) {
        const path = agent(requestHeader.get("buildkit.ssh.id") ?? "");
        for await (const data of agentConnection(path, piecesOf(messages))) yield { data };
      },
    });
    router.service(filesync.FileSync, { diffCopy: fileSender(directories) });
  };
}

async function* piecesOf(messages: AsyncIterable<{ readonly data: Uint8Array }>): AsyncGenerator<Uint8Array> {
  for await (const { data } of messages) yield data;
}

function secretSource({ id, file, env }: SecretFlag, { env: variables, cwd }: CliIo): () => Uint8Array {
  const name = env ?? (file === undefined && variables[id] !== undefined ? id : undefined);
  if (name !== undefined) return () => Buffer.from(variables[name] ?? "");
  const path = resolve(cwd, file ?? id);
  try {
    if (!statSync(path).isFile()) throw new EngineError("invalid", "it is not a file");
  } catch (err) {
    throw new EngineError("invalid", `failed to stat ${path} for --secret id=${id}: ${messageOf(err)}`);
  }
  return () => readFileSync(path);
}

function agentSocket({ id, socket }: SshFlag, { env, cwd }: CliIo): string {
  const given = socket ?? env["SSH_AUTH_SOCK"];
  if (!given) throw new EngineError("invalid", "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set");
  const path = resolve(cwd, given);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isSocket()) return path;
  const why = stat ? "is no agent's socket: keys are added to an agent with ssh-add" : "does not exist";
  throw new EngineError("invalid", `--ssh ${id}: ${path} ${why}`);
}
