export { editDistance } from "./distance.ts";
export { deepPattern, globPattern, ignoreMatcher, isGlob, readIgnoreFile } from "./patterns.ts";
