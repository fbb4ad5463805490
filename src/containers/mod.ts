export type * from "./containers.ts";
export type { ContainersConfig, Parts as ContainersParts } from "./context.ts";
export { type OpenedContainers, openContainers } from "./open.ts";
export { containersMigrations } from "./table.ts";
