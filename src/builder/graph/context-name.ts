import { familiar, parseReference } from "../../oci/mod.ts";

/** What stands for all spellings of a named context's name: `docker.io/library/alpine:latest` is `alpine` (BuildKit `dockerui.NamedContext`). */
export function contextName(text: string): string {
  try {
    return familiar(parseReference(text)).replace(/:latest$/, "");
  } catch {
    return text; // a stage may be called what no image can
  }
}
