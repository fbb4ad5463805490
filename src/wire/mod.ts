export {
  type BuildAttestations,
  decodeAttestations,
  decodeAttestationsByType,
  noAttestations,
  type ProvenanceRequest,
} from "./attest.ts";
export { type AuthConfig, decodeAuthConfig, decodeAuthHeader, decodeAuthsHeader } from "./auth.ts";
export {
  type BuildCall,
  type BuildOutput,
  type BuildQuery,
  type BuildStepEvent,
  buildCalls,
  type CallResult,
  type CheckResult,
  decodeBuildQuery,
  decodeSessionBuildQuery,
  largestBuildText,
  type SessionBuildQuery,
} from "./build.ts";
export { type CacheOption, cacheKind, csv, formatCacheOption, parseCacheOption } from "./cache-option.ts";
export type * from "./container.ts";
export * from "./context-line.ts";
export { type Decode, Fields, string } from "./decode.ts";
export {
  decodeContainerConfig,
  decodeContainerCreate,
  decodeExecCreate,
  decodeExecStart,
  decodePortBindings,
  decodeUpdate,
  fullPort,
} from "./decode-container.ts";
export { decodeHostConfig, decodeUlimits, noLimits } from "./decode-host-config.ts";
export {
  decodeEndpointConfig,
  decodeNetworkConnect,
  decodeNetworkCreate,
  decodeNetworkDisconnect,
  decodeVolumeCreate,
  decodeVolumeUpdate,
} from "./decode-network.ts";
export type * from "./doctor.ts";
export type * from "./event.ts";
export { filterFlag, filterUntil, hasLabel, labelTest, requireFilters } from "./filters.ts";
export { humanDuration } from "./human-duration.ts";
export type * from "./image.ts";
export type * from "./mount.ts";
export type * from "./network.ts";
export { decodeFilters, queryFlag, queryInteger, queryJson, queryText, requiredText } from "./query.ts";
export type * from "./stats.ts";
export type * from "./system.ts";
export { formatInstant, parseDuration, parseInstant } from "./time.ts";
