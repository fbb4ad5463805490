import { EngineError } from "../../errors/mod.ts";
import type { BuildSession } from "../session.ts";

/**
 * What lets git in: settings that git gets by its environment, which nothing keeps, and no argument or message has. BuildKit's
 * secrets GIT_AUTH_HEADER and GIT_AUTH_TOKEN, before each the one with the host's name behind a dot, and what a URL itself says.
 */
export interface GitAccess {
  /** Without user and password, which are a setting then. */
  readonly remote: string;
  readonly settings: Readonly<Record<string, string>>;
}

export interface AccessRequest {
  readonly remote: string;
  readonly session: BuildSession | undefined;
  readonly signal: AbortSignal;
}

/** Throws "invalid" for a secret that is no header. */
export async function gitAccess({ remote, session, signal }: AccessRequest): Promise<GitAccess> {
  const [, scheme, user, authority, rest = ""] = /^(https?:\/\/)(?:([^/@]*)@)?([^/]*)(.*)$/is.exec(remote) ?? [];
  if (scheme === undefined || authority === undefined) return { remote, settings: {} };
  const bare = `${scheme}${authority}${rest}`;
  const header = user === undefined ? session && (await headerOf(session, authority, signal)) : basic(decoded(user));
  return { remote: bare, settings: header === undefined ? {} : { [`http.${scopeOf(bare)}.extraHeader`]: header } };
}

/** True for a repository that ssh brings. */
export function isSsh(remote: string): boolean {
  return /^ssh:\/\//i.test(remote) || !remote.includes("://");
}

/** The first secret that there is, in BuildKit's order. */
async function headerOf(session: BuildSession, host: string, signal: AbortSignal): Promise<string | undefined> {
  for (const name of [`GIT_AUTH_HEADER.${host}`, `GIT_AUTH_TOKEN.${host}`, "GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"]) {
    const value = await session.secret(name, signal);
    if (value === undefined) continue;
    const text = Buffer.from(value)
      .toString("utf8")
      .replace(/\r?\n$/, "");
    if (text === "" || /\p{Cc}/u.test(text)) throw new EngineError("invalid", `secret ${name} is no line of text`);
    return name.startsWith("GIT_AUTH_HEADER") ? `Authorization: ${text}` : basic(`x-access-token:${text}`);
  }
  return undefined;
}

function basic(userAndPassword: string): string {
  return `Authorization: basic ${Buffer.from(userAndPassword).toString("base64")}`;
}

function decoded(user: string): string {
  try {
    const text = decodeURIComponent(user);
    return text.includes(":") ? text : `${text}:`;
  } catch {
    throw new EngineError("invalid", "the repository's URL has a user that cannot be decoded");
  }
}

/** Submodules of other repositories do not get the header, but for those on github.com, as with BuildKit. */
function scopeOf(remote: string): string {
  const everywhere = ["https://github.com/", "https://www.github.com/"];
  return everywhere.find((prefix) => remote.startsWith(prefix)) ?? remote;
}
