import { statSync } from "node:fs";
import { resolve } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { isDigest } from "../../oci/mod.ts";
import { CacheDirectory } from "./cache-directory.ts";

/** `--secret`: where the value is; neither for an environment variable or a file of the id's name, whichever there is. */
export interface SecretFlag {
  readonly id: string;
  readonly file?: string;
  readonly env?: string;
}

/** `id=ID[,src=FILE|,env=NAME][,type=file|env]`. Throws "invalid". */
export function parseSecret(text: string): SecretFlag {
  const fields = new Map<string, string>();
  for (const field of text.split(",")) {
    const at = field.indexOf("=");
    const name = field.slice(0, Math.max(at, 0)).toLowerCase();
    if (!["id", "src", "source", "env", "type"].includes(name))
      throw bad(text, `unexpected field ${JSON.stringify(field)}`);
    fields.set(name === "source" ? "src" : name, field.slice(at + 1));
  }
  const id = fields.get("id");
  const type = fields.get("type") ?? "";
  if (!id) throw bad(text, "it has no id");
  if (!["", "file", "env"].includes(type)) throw bad(text, `unsupported secret type ${JSON.stringify(type)}`);
  const source = fields.get("src");
  const env = fields.get("env") ?? (type === "env" ? source : undefined);
  return { id, ...(env === undefined ? source !== undefined && { file: source } : { env }) };
}

/** `--ssh`: an agent's socket; none for the one of SSH_AUTH_SOCK. */
export interface SshFlag {
  readonly id: string;
  readonly socket?: string;
}

/** `default` or `ID[=SOCKET]`. Throws "invalid", and "not-implemented" for keys in the place of a socket. */
export function parseSsh(text: string): SshFlag {
  const at = text.indexOf("=");
  const id = at < 0 ? text : text.slice(0, at);
  const socket = at < 0 ? undefined : text.slice(at + 1);
  if (id === "" || socket === "")
    throw new EngineError("invalid", `invalid --ssh ${JSON.stringify(text)}: ID[=SOCKET] is expected`);
  if (socket?.includes(",")) {
    throw new EngineError(
      "not-implemented",
      `--ssh ${text} is not implemented by Berth: name one agent's socket, and add keys with ssh-add`,
    );
  }
  return { id, ...(socket !== undefined && { socket }) };
}

/** `--build-context`: what a name stands for. */
export interface ContextFlag {
  readonly name: string;
  readonly value: string;
}

/** `NAME=VALUE`. Throws "invalid". */
export function parseContextFlag(text: string): ContextFlag {
  const at = text.indexOf("=");
  const [name, value] = [text.slice(0, Math.max(at, 0)).toLowerCase(), text.slice(at + 1)];
  if (name !== "" && value !== "") return { name, value };
  throw new EngineError("invalid", `invalid --build-context ${JSON.stringify(text)}: NAME=VALUE is expected`);
}

/** Those that are directories here, and what each name is to the daemon. Throws "invalid" for a path that is no directory. */
export function namedContexts(flags: readonly ContextFlag[], cwd: string) {
  const directories = new Map<string, string>();
  const layouts = new Map<string, CacheDirectory>();
  const values: Record<string, string> = {};
  for (const { name, value } of flags) {
    values[name] = value;
    const layout = layoutAt(value);
    if (layout) {
      const directory = new CacheDirectory(resolve(cwd, layout.path));
      layouts.set(`oci:${name}`, directory);
      values[name] = `oci-layout://${name}@${layout.digest ?? directory.find(layout.tag)}`;
      continue;
    }
    if (/^(?:[a-z-]+:\/\/|git@|github\.com\/)/.test(value)) continue;
    const path = resolve(cwd, value);
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory())
      throw new EngineError("invalid", `failed to get build context ${name}: ${path} is not a directory`);
    directories.set(name, path);
    values[name] = `local:${name}`;
  }
  return { directories, layouts, values };
}

/** `oci-layout://DIR[:TAG][@DIGEST]` (docker buildx build, `--build-context`). Throws "invalid" for a digest that is none. */
function layoutAt(value: string) {
  const [, path, tag = "latest", digest] = /^oci-layout:\/\/([^@]+?)(?::([\w][\w.-]*))?(?:@(.*))?$/.exec(value) ?? [];
  if (path === undefined) return undefined;
  if (digest === undefined) return { path, tag };
  if (isDigest(digest)) return { path, tag, digest };
  throw new EngineError("invalid", `invalid --build-context ${value}: ${digest} is no digest`);
}

function bad(text: string, why: string): EngineError {
  return new EngineError("invalid", `invalid --secret ${JSON.stringify(text)}: ${why}`);
}
