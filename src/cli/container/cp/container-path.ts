import type { Client } from "../../../client/mod.ts";
import { isKind } from "../../../errors/mod.ts";
import { containerPath } from "../path.ts";

export interface ContainerFile {
  readonly isDirectory: boolean;
  readonly isDevice: boolean;
  /** Where a symlink leads in the end; undefined for all else. */
  readonly linkTarget?: string;
}

/** Bits of Go's os.FileMode. */
const mode = { directory: 2 ** 31, symlink: 2 ** 27, device: 2 ** 26 } as const;

/** What is at a path of a container; undefined when the engine does not say. Throws "unavailable" when there is no engine. */
export async function statInContainer(
  client: Client,
  container: string,
  path: string,
): Promise<ContainerFile | undefined> {
  try {
    const { headers } = await client.stream({
      method: "HEAD",
      path: containerPath(container, "/archive"),
      query: { path },
    });
    return decodeStat(headers);
  } catch (err) {
    if (isKind(err, "unavailable")) throw err;
    return undefined;
  }
}

/** From the header that comes with an archive, too. */
export function decodeStat(headers: Readonly<Record<string, string | readonly string[] | undefined>>): ContainerFile {
  const text = Buffer.from(String(headers["x-docker-container-path-stat"] ?? ""), "base64").toString();
  const stat = JSON.parse(text) as { readonly mode: number; readonly linkTarget: string };
  const has = (bit: number) => Math.floor(stat.mode / bit) % 2 === 1;
  return {
    isDirectory: has(mode.directory),
    isDevice: has(mode.device),
    ...(has(mode.symlink) && { linkTarget: stat.linkTarget }),
  };
}
