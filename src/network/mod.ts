export type { NetworkConfig, NetworkHost } from "./context.ts";
export { networkJobs } from "./dns/serve.ts";
export type * from "./network.ts";
export { type NetworksOptions, openNetworks } from "./open.ts";
export type { Pool } from "./pools.ts";
export { chosenPorts } from "./ports.ts";
export type { NetworkReport } from "./report.ts";
export { networkMigrations } from "./table.ts";
