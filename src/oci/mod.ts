export { configLimit, decodeConfig, requireSameLayers } from "./config.ts";
export { chainIds, type Digest, digestOf, hexOf, isDigest, parseDigest } from "./digest.ts";
export {
  type Descriptor,
  type Healthcheck,
  type HistoryEntry,
  type ImageConfig,
  type ImageRunConfig,
  type Index,
  type Manifest,
  mediaTypes,
  type Platform,
} from "./image.ts";
export {
  children,
  decodeDescriptor,
  decodeIndex,
  decodeManifest,
  isIndexType,
  isLayerType,
  isManifestType,
  manifestLimit,
  requireImage,
} from "./manifest.ts";
export {
  choosePlatform,
  defaultPlatform,
  formatPlatform,
  matchesPlatform,
  normalizePlatform,
  parsePlatform,
} from "./platform.ts";
export { imagePurl } from "./purl.ts";
export { canonical, familiar, familiarName, parseReference, type Reference, withDefaultTag } from "./reference.ts";
