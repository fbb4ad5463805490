import { hostname } from "node:os";
import { EngineError } from "../../errors/mod.ts";
import { argvOf } from "../config.ts";
import type { Row } from "../table.ts";

type TagRow = Pick<Row, "id" | "name" | "imageId" | "config">;

/** What Docker's tag templates have: methods and fields of its `logger.Info`. */
const fields: Readonly<Record<string, (row: TagRow) => string>> = {
  ID: ({ id }) => id.slice(0, 12),
  FullID: ({ id }) => id,
  ContainerID: ({ id }) => id,
  Name: ({ name }) => name,
  ContainerName: ({ name }) => `/${name}`,
  ImageID: ({ imageId }) => imageId.slice(0, 12),
  ImageFullID: ({ imageId }) => imageId,
  ContainerImageID: ({ imageId }) => imageId,
  ImageName: ({ config }) => config.Image,
  ContainerImageName: ({ config }) => config.Image,
  Command: ({ config }) => argvOf(config).join(" "),
  Hostname: () => hostname(),
  DaemonName: () => "berth",
};

/** Fields alone; Go's template language has more, which tags are not seen to use. */
const action = /\{\{-?\s*\.?(.*?)\s*-?\}\}/gs;

/** Throws "invalid" for what is no field of the template. */
export function checkTag(template: string): void {
  const prefix = "failed to initialize logging driver: template: log-tag:1:";
  for (const [, field = ""] of template.matchAll(action)) {
    if (Object.hasOwn(fields, field)) continue;
    throw new EngineError("invalid", `${prefix} can't evaluate field ${field} in type *logger.Info`);
  }
  if (template.replace(action, "").includes("{{")) throw new EngineError("invalid", `${prefix} unclosed action`);
}

/** A template that {@link checkTag} has accepted, filled in. */
export function tagOf(template: string, row: TagRow): string {
  return template.replace(action, (_, field: string) => fields[field]?.(row) ?? "");
}
