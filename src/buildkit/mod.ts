export { type BuildKit, createBuildKit } from "./buildkit.ts";
export { buildKitMigrations } from "./history/table.ts";
export { withoutFiles } from "./named-contexts.ts";
export type { BuildKitEngine, PushOptions, ReceiveRequest, Worker } from "./solve.ts";
export { answerCall } from "./subrequests.ts";
