export { type ApiServices, apiRoutes } from "./api.ts";
export type { BuildRequest, BuildService } from "./build.ts";
export { apiErrors, apiMissing, statusOf } from "./errors.ts";
export { apiHeaders, type SystemService } from "./system.ts";
export type { SystemFacts, VersionFacts } from "./system-info.ts";
export { apiVersion, minApiVersion } from "./version.ts";
