import { EngineError, messageOf } from "../errors/mod.ts";
import { Fields, record, string } from "./decode.ts";

/** Credentials for one registry, as `X-Registry-Auth` and `POST /auth` carry them. */
export interface AuthConfig {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
  readonly serverAddress?: string;
}

/** The `X-Registry-Auth` header: base64 (either alphabet) of JSON. Absent, empty and `{}` mean no credentials. Throws "invalid". */
export function decodeAuthHeader(header: string | undefined): AuthConfig | undefined {
  const json = headerJson("X-Registry-Auth", header);
  if (json === undefined || json === null) return undefined;
  const auth = decodeAuthConfig(json);
  return Object.keys(auth).length === 0 ? undefined : auth;
}

/** The `X-Registry-Config` header: the same for many registries, by address. Throws "invalid". */
export function decodeAuthsHeader(header: string | undefined): Readonly<Record<string, AuthConfig>> {
  const json = headerJson("X-Registry-Config", header);
  return json === undefined || json === null ? {} : record(decodeAuthConfig)(json, "X-Registry-Config");
}

export function decodeAuthConfig(json: unknown, path?: string): AuthConfig {
  const fields = new Fields(json ?? {}, path);
  const pair = splitPair(fields.get("auth", string, ""));
  const found = {
    username: fields.get("username", string, "") || pair.username,
    password: fields.get("password", string, "") || pair.password,
    identityToken: fields.get("identitytoken", string, ""),
    registryToken: fields.get("registrytoken", string, ""),
    serverAddress: fields.get("serveraddress", string, ""),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== ""));
}

/** `auth` is base64 of `user:password`, as in the CLI's configuration file. */
function splitPair(auth: string): { username: string; password: string } {
  const text = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = text.indexOf(":");
  return colon < 0
    ? { username: "", password: "" }
    : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function headerJson(name: string, header: string | undefined): unknown {
  if (header === undefined || header.trim() === "") return undefined;
  try {
    return JSON.parse(Buffer.from(header, "base64url").toString("utf8")) as unknown;
  } catch (err) {
    throw new EngineError("invalid", `invalid ${name} header: ${messageOf(err)}`, { cause: err });
  }
}
