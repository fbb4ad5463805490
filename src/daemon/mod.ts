export { daemonMain } from "./main.ts";
export { registryMain } from "./registry.ts";
