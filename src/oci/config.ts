import type { Healthcheck, HistoryEntry, ImageConfig, ImageRunConfig, Manifest } from "./image.ts";
import { decodePlatform } from "./manifest.ts";
import {
  arrayAt,
  asObject,
  booleanAt,
  digestFrom,
  integerAt,
  invalid,
  type Json,
  objectAt,
  parseObject,
  present,
  required,
  setAt,
  stringAt,
  stringMapAt,
  stringsAt,
} from "./shape.ts";

/** Image configs larger than this are refused: 8 MiB. */
export const configLimit = 8 * 1024 * 1024;

/** Decodes an image config (OCI image-spec config.md and Docker's additions). Throws "invalid" naming the place. */
export function decodeConfig(bytes: Uint8Array): ImageConfig {
  const at = "config";
  const json = parseObject(bytes, { what: at, limit: configLimit });
  const run = objectAt(json, "config", at);
  return present({
    ...decodePlatform({ ...json, os: json["os"] || "linux", architecture: json["architecture"] || "amd64" }, at),
    created: timeAt(json, "created", at),
    author: stringAt(json, "author", at),
    config: run && decodeRunConfig(run, "config.config"),
    rootfs: decodeRootfs(required(objectAt(json, "rootfs", at), "config.rootfs")),
    history: arrayAt(json, "history", at)?.map((entry, index) => decodeHistory(entry, `config.history[${index}]`)),
  }) as ImageConfig;
}

/** Throws "invalid" unless the config describes exactly the manifest's layers. */
export function requireSameLayers(manifest: Pick<Manifest, "layers">, config: ImageConfig): void {
  const [layers, diffIds] = [manifest.layers.length, config.rootfs.diff_ids.length];
  if (layers !== diffIds) throw invalid("manifest.layers", `${layers} layers, but ${diffIds} diff_ids in the config`);
}

function decodeRootfs(json: Json): ImageConfig["rootfs"] {
  const type = stringAt(json, "type", "config.rootfs");
  if (type !== "layers")
    throw invalid("config.rootfs.type", `"layers" is expected, not ${JSON.stringify(type ?? null)}`);
  const ids = arrayAt(json, "diff_ids", "config.rootfs") ?? [];
  return { type, diff_ids: ids.map((id, index) => digestFrom(id, `config.rootfs.diff_ids[${index}]`)) };
}

function decodeHistory(value: unknown, at: string): HistoryEntry {
  const json = asObject(value, at);
  return present({
    created: timeAt(json, "created", at),
    created_by: stringAt(json, "created_by", at),
    author: stringAt(json, "author", at),
    comment: stringAt(json, "comment", at),
    empty_layer: booleanAt(json, "empty_layer", at),
  });
}

function decodeRunConfig(json: Json, at: string): ImageRunConfig {
  const healthcheck = objectAt(json, "Healthcheck", at);
  return present({
    User: stringAt(json, "User", at),
    ExposedPorts: setAt(json, "ExposedPorts", at),
    Env: stringsAt(json, "Env", at),
    Entrypoint: stringsAt(json, "Entrypoint", at),
    Cmd: stringsAt(json, "Cmd", at),
    Volumes: setAt(json, "Volumes", at),
    WorkingDir: stringAt(json, "WorkingDir", at),
    Labels: stringMapAt(json, "Labels", at),
    StopSignal: stringAt(json, "StopSignal", at),
    Shell: stringsAt(json, "Shell", at),
    Healthcheck: healthcheck && decodeHealthcheck(healthcheck, `${at}.Healthcheck`),
    OnBuild: stringsAt(json, "OnBuild", at),
    ArgsEscaped: booleanAt(json, "ArgsEscaped", at),
  });
}

function decodeHealthcheck(json: Json, at: string): Healthcheck {
  return present({
    Test: stringsAt(json, "Test", at),
    Interval: integerAt(json, "Interval", at),
    Timeout: integerAt(json, "Timeout", at),
    StartPeriod: integerAt(json, "StartPeriod", at),
    StartInterval: integerAt(json, "StartInterval", at),
    Retries: integerAt(json, "Retries", at),
  });
}

function timeAt(json: Json, key: string, at: string): string | undefined {
  const text = stringAt(json, key, at);
  if (!text) return undefined;
  if (Number.isNaN(Date.parse(text))) throw invalid(`${at}.${key}`, `${JSON.stringify(text.slice(0, 60))} is no time`);
  return text;
}
