export type * from "./builder.ts";
export type { BuilderConfig, BuilderOptions, Fetched, FetchUrl } from "./context.ts";
export { builderJobs } from "./jobs/all.ts";
export type { BuildObserver, BuildTask, ObservedStep, StepEnd } from "./observer.ts";
export { openBuilder } from "./open.ts";
export { fetchContext, type ReceiveOptions, receiveContext } from "./receive.ts";
export { authFor } from "./resolve.ts";
export type { BuildSession, ClientStore } from "./session.ts";
export { builderMigrations } from "./table.ts";
