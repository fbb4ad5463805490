export { allowedCapabilities, capabilitySets } from "./capabilities.ts";
export { defaultMaskedPaths, defaultReadonlyPaths } from "./default-mounts.ts";
export { allHostDevices, resolveDevices } from "./devices.ts";
export { type CreateFailure, createFailure } from "./failure.ts";
export { hostLimits } from "./limits.ts";
export { openRuntime, type RuntimeOptions } from "./open.ts";
export { lifted, resourcesOf } from "./resources.ts";
export type * from "./runtime.ts";
export { ociSpec } from "./spec.ts";
