import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { call } from "./api.ts";
import type { Engine } from "./engine.ts";
import { type Entry, tar } from "./tar.ts";

const busybox = "/bin/busybox";

/** A root file system of one static program under all its names, with root and a plain user. */
export function busyboxRootfs(...more: readonly Entry[]): Uint8Array {
  const applets = Bun.spawnSync([busybox, "--list"]).stdout.toString().trim().split("\n");
  const directories = ["bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var", "home/alice"];
  return tar(
    ...directories.map(
      (name): Entry => ({ name: `${name}/`, type: "directory", mode: name === "tmp" ? 0o1777 : 0o755 }),
    ),
    { name: "bin/busybox", mode: 0o755, data: readFileSync(busybox) },
    ...applets
      .filter((name) => name !== "busybox")
      .map((name): Entry => ({ name: `bin/${name}`, type: "symlink", link: "busybox" })),
    { name: "etc/passwd", data: "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n" },
    { name: "etc/group", data: "root:x:0:\nalice:x:1000:\nwheel:x:10:alice\n" },
    ...more,
  );
}

/** Gives an engine the image that most tests run: `busybox:latest`, whose command is `sh`. */
export async function importBusybox(engine: Pick<Engine, "host">, name = "busybox"): Promise<void> {
  const change = encodeURIComponent('CMD ["sh"]');
  const answer = await call(
    engine,
    `POST /images/create?fromSrc=-&repo=${name}&tag=latest&changes=${change}`,
    busyboxRootfs(),
  );
  if (answer.status !== 200 || answer.text.includes('"error"')) throw new Error(`import of busybox: ${answer.text}`);
}

export interface BuiltLayer {
  /** As it is stored: compressed or not. */
  readonly blob: Uint8Array;
  readonly diffId: string;
  readonly mediaType?: string;
}

export function plainLayer(bytes: Uint8Array): BuiltLayer {
  return { blob: bytes, diffId: sha256(bytes), mediaType: "application/vnd.oci.image.layer.v1.tar" };
}

export function gzipLayer(bytes: Uint8Array): BuiltLayer {
  const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
  return { blob: Bun.gzipSync(Buffer.from(bytes)), diffId: sha256(bytes), mediaType };
}

export function zstdLayer(bytes: Uint8Array): BuiltLayer {
  const mediaType = "application/vnd.oci.image.layer.v1.tar+zstd";
  return { blob: Bun.zstdCompressSync(Buffer.from(bytes)), diffId: sha256(bytes), mediaType };
}

export function sha256(bytes: string | Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export function imageConfig(layers: readonly BuiltLayer[], config: object = { Cmd: ["sh"] }): object {
  const rootfs = { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) };
  return { architecture: process.arch === "arm64" ? "arm64" : "amd64", os: "linux", config, rootfs, history: [] };
}

/** What `docker save` wrote before it knew OCI. `change` may spoil the files before they are packed. */
export function dockerArchive(
  name: string,
  layers: readonly BuiltLayer[],
  change: (files: Map<string, string | Uint8Array>) => void = () => undefined,
): Uint8Array {
  const config = JSON.stringify(imageConfig(layers));
  const files = new Map<string, string | Uint8Array>([["config.json", config]]);
  for (const [index, { blob }] of layers.entries()) files.set(`${index}/layer.tar`, blob);
  const Layers = layers.map((_, index) => `${index}/layer.tar`);
  files.set("manifest.json", JSON.stringify([{ Config: "config.json", RepoTags: [name], Layers }]));
  change(files);
  return pack(files);
}

export interface LayoutOptions {
  readonly config?: object;
  readonly change?: (files: Map<string, string | Uint8Array>) => void;
  readonly manifestType?: string;
}

/** An OCI image layout of one image. */
export function ociLayout(name: string, layers: readonly BuiltLayer[], options: LayoutOptions = {}): Uint8Array {
  const files = new Map<string, string | Uint8Array>([["oci-layout", '{"imageLayoutVersion":"1.0.0"}']]);
  const add = (mediaType: string, blob: string | Uint8Array) => {
    const digest = sha256(blob);
    files.set(`blobs/sha256/${digest.slice(7)}`, blob);
    return { mediaType, digest, size: Buffer.from(blob).length };
  };
  const config = add("application/vnd.oci.image.config.v1+json", JSON.stringify(imageConfig(layers, options.config)));
  const mediaType = options.manifestType ?? "application/vnd.oci.image.manifest.v1+json";
  const described = layers.map(({ blob, mediaType: type = "" }) => add(type, blob));
  const manifest = add(mediaType, JSON.stringify({ schemaVersion: 2, mediaType, config, layers: described }));
  const annotations = {
    "io.containerd.image.name": `docker.io/library/${name}`,
    "org.opencontainers.image.ref.name": "latest",
  };
  files.set("index.json", JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }));
  options.change?.(files);
  return pack(files);
}

function pack(files: ReadonlyMap<string, string | Uint8Array>): Uint8Array {
  return tar(...[...files].map(([name, data]): Entry => ({ name, data })));
}
