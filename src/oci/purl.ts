import type { Platform } from "./image.ts";
import { formatPlatform } from "./platform.ts";
import { familiarName, type Reference, withDefaultTag } from "./reference.ts";

/** The package URL of an image, such as `pkg:docker/team/app@1.0?platform=linux%2Famd64` (BuildKit `util/purl`). */
export function imagePurl(ref: Reference, platform: Platform): string {
  const { tag, digest } = withDefaultTag(ref);
  const { domain, path } = ref;
  const version = tag === undefined ? "" : `@${tag}`;
  const qualifiers = [
    ...(digest === undefined ? [] : [`digest=${encodeURIComponent(digest).replace(/%3A/g, ":")}`]),
    `platform=${encodeURIComponent(formatPlatform(platform))}`,
  ];
  return `pkg:docker/${familiarName({ domain, path })}${version}?${qualifiers.join("&")}`;
}
