export { createRegistryClient, type RegistryClientOptions } from "./create.ts";
export type * from "./registry-client.ts";
