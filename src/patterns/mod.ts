export { editDistance } from "./distance.ts";
export { cleanPattern, deepPattern, globPattern, ignoreMatcher, isGlob, readIgnoreFile } from "./patterns.ts";
export { re2 } from "./re2/re2.ts";
