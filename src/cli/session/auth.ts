import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CliIo } from "../io.ts";

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>;
}

const hub = "https://index.docker.io/v1/";

/** The X-Registry-Auth header for an image's registry, from the `config.json` that `docker login` wrote; none when it has nothing. */
export function authHeader(io: CliIo, image: string): Record<string, string> {
  const first = image.split("/")[0] ?? "";
  const server = image.includes("/") && (/[.:]/.test(first) || first === "localhost") ? first : hub;
  const entry = readConfig(io).auths?.[server];
  const [username = "", ...password] = Buffer.from(entry?.auth ?? "", "base64")
    .toString()
    .split(":");
  if (!entry || (username === "" && !entry.identitytoken)) return {};
  const auth = {
    username,
    password: password.join(":"),
    serveraddress: server,
    ...(entry.identitytoken && { identitytoken: entry.identitytoken }),
  };
  return { "X-Registry-Auth": Buffer.from(JSON.stringify(auth)).toString("base64url") };
}

/** Every login of `config.json`, as X-Registry-Config wants it (builds pull from several registries). */
export function allAuthHeader(io: CliIo): Record<string, string> {
  const auths = Object.keys(readConfig(io).auths ?? {}).map((server) => {
    const header = authHeader(io, server === hub ? "x" : `${server}/x`)["X-Registry-Auth"];
    return [server, header ? JSON.parse(Buffer.from(header, "base64url").toString()) : {}];
  });
  return { "X-Registry-Config": Buffer.from(JSON.stringify(Object.fromEntries(auths))).toString("base64url") };
}

function readConfig(io: CliIo): DockerConfig {
  const directory = io.env["DOCKER_CONFIG"] || join(io.env["HOME"] || homedir(), ".docker");
  try {
    return JSON.parse(readFileSync(join(directory, "config.json"), "utf8")) as DockerConfig;
  } catch {
    return {}; // no file, or one that docker could not read either: an anonymous request is what is left
  }
}
