export { deepPattern, globPattern, ignoreMatcher, isGlob, readIgnoreFile } from "./patterns.ts";
