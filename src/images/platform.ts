import { EngineError } from "../errors/mod.ts";
import { formatPlatform, type ImageConfig, matchesPlatform, parsePlatform } from "../oci/mod.ts";
import type { ImageRow } from "./table.ts";

/** An image here is for one platform. Throws "not-found" when that is not the one asked for, "invalid" for what is no platform. */
export function requirePlatform(row: ImageRow, text: string): void {
  const wanted = parsePlatform(text);
  const config = JSON.parse(row.config) as ImageConfig;
  if (matchesPlatform(wanted, config)) return;
  const pair = `wanted ${formatPlatform(wanted)}, actual: ${formatPlatform(config)}`;
  throw new EngineError("not-found", `image ${row.id} was found but does not match the specified platform: ${pair}`);
}
