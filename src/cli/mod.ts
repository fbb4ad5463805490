export { cliMain } from "./main.ts";
