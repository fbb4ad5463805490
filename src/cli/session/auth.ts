import type { CliIo } from "../io.ts";
import { type UserConfig, userConfig } from "./config.ts";

const hub = "https://index.docker.io/v1/";

/** The X-Registry-Auth header for an image's registry, from the `config.json` that `docker login` wrote; none when it has nothing. */
export function authHeader(io: CliIo, image: string): Record<string, string> {
  const auth = authOf(userConfig(io), serverOf(image));
  return auth ? { "X-Registry-Auth": encoded(auth) } : {};
}

/** Every login of `config.json`, as X-Registry-Config wants it (builds pull from several registries). */
export function allAuthHeader(io: CliIo): Record<string, string> {
  const config = userConfig(io);
  const auths = Object.keys(config.auths ?? {}).flatMap((server) => {
    const auth = authOf(config, server);
    return auth ? [[server, auth] as const] : [];
  });
  return { "X-Registry-Config": encoded(Object.fromEntries(auths)) };
}

function serverOf(image: string): string {
  const first = image.split("/")[0] ?? "";
  const registry = image.includes("/") && (/[.:]/.test(first) || first === "localhost") ? first : "docker.io";
  return registry === "docker.io" ? hub : registry;
}

function authOf({ auths }: UserConfig, server: string) {
  const entry = auths?.[server];
  if (!entry) return undefined;
  const [username = "", ...password] = Buffer.from(entry.auth ?? "", "base64")
    .toString()
    .split(":");
  if (username === "" && !entry.identitytoken) return undefined;
  return {
    username,
    password: password.join(":"),
    serveraddress: server,
    ...(entry.identitytoken && { identitytoken: entry.identitytoken }),
  };
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
