export type * from "./containers.ts";
export type { ContainersConfig, Parts as ContainersParts } from "./context.ts";
export { containersJobs } from "./logs/jobs.ts";
export { type LogConfig, logDriversOf } from "./logs/options.ts";
export { containersMigrations } from "./migrations.ts";
export { type OpenedContainers, openContainers } from "./open.ts";
