import type { Client } from "../../client/mod.ts";
import type { CliIo, Output } from "../io.ts";
import { authHeader } from "./auth.ts";
import { showProgress, withoutProgress } from "./progress.ts";

export interface PullOptions {
  readonly io: CliIo;
  readonly quiet: boolean;
  readonly platform: string;
  /** Where progress goes; `run` keeps standard output for the container. */
  readonly to: Output;
  readonly allTags?: boolean;
}

/** Pulls one image (or all tags of a repository), showing how far it got. */
export async function pullImage(client: Client, image: string, options: PullOptions): Promise<void> {
  const { name, tag } = splitImage(image);
  const lines = client.lines({
    method: "POST",
    path: "/images/create",
    query: {
      fromImage: name,
      tag: options.allTags ? undefined : tag || "latest",
      platform: options.platform || undefined,
    },
    headers: authHeader(options.io, image),
  });
  await showProgress(options.quiet ? withoutProgress(lines) : lines, options.to);
}

/** `name:tag` or `name@digest` apart, as the API wants them. */
export function splitImage(image: string): { readonly name: string; readonly tag: string } {
  const at = image.indexOf("@");
  if (at >= 0) return { name: image.slice(0, at), tag: image.slice(at + 1) };
  const colon = image.lastIndexOf(":");
  return colon > image.lastIndexOf("/")
    ? { name: image.slice(0, colon), tag: image.slice(colon + 1) }
    : { name: image, tag: "" };
}

/** The name with registry, `library/` and tag, as docker's pull and push end with it. */
export function fullName(image: string, { tagged = true }: { readonly tagged?: boolean } = {}): string {
  const { name, tag } = splitImage(image);
  const first = name.split("/")[0] ?? "";
  const registry = name.includes("/") && (/[.:]/.test(first) || first === "localhost") ? "" : "docker.io/";
  const full = `${registry}${name.includes("/") ? "" : "library/"}${name}`;
  if (!tagged) return full;
  return tag.includes(":") ? `${full}@${tag}` : `${full}:${tag || "latest"}`;
}
