import { EngineError } from "../../errors/mod.ts";

/** A link as a user writes it: another container, and the name that it is to have here. */
export interface Link {
  readonly target: string;
  readonly alias: string;
}

/**
 * `CONTAINER[:ALIAS]`, or the `/CONTAINER:/OWNER/ALIAS` that inspect shows, which clients send back. Throws "invalid" in
 * Docker's words, and for an alias that cannot be a name in /etc/hosts, which dockerd would write all the same.
 */
export function parseLink(text: string): Link {
  if (text === "") throw new EngineError("invalid", "empty string specified for links");
  const [target = "", second = target, ...more] = text.split(":");
  const alias = target.startsWith("/") ? second.slice(second.lastIndexOf("/") + 1) : second;
  const bare = target.replace(/^\//, "");
  if (more.length > 0 || bare === "" || alias === "") {
    throw new EngineError("invalid", `bad format for links: ${text}`);
  }
  if (!/^[^\s/#\p{Cc}]+$/u.test(alias) || /^\.+$/.test(alias)) {
    throw new EngineError(
      "invalid",
      `bad format for links: ${text}: the alias ${JSON.stringify(alias)} is no host name`,
    );
  }
  return { target: bare, alias };
}
