export type { RegistryParts } from "./context.ts";
export { noSuchPath, problemOf } from "./problem.ts";
export type * from "./registry-server.ts";
export { registryRoutes } from "./routes.ts";
export { openTagStore, registryMigrations, registryRoots } from "./table.ts";
