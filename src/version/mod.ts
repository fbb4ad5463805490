export { commit, version, versionText } from "./version.ts";
