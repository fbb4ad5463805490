export { type BuildKit, createBuildKit } from "./buildkit.ts";
export type { BuildKitEngine, ReceiveRequest, Worker } from "./solve.ts";
