import { EngineError } from "../errors/mod.ts";
import type { Asked } from "./jobs.ts";

/** `gateway.v0` runs a frontend from an image; the one that everybody means is built in. */
export function requireDockerfile(asked: Asked): Asked {
  const { source, ...attributes } = asked.attributes;
  if (asked.frontend === "dockerfile.v0") return asked;
  const builtIn = /^(?:docker\.io\/)?docker\/dockerfile(?::1(?:\.[\w.-]+)?)?(?:@sha256:\w+)?$/;
  if (asked.frontend === "gateway.v0" && builtIn.test(source ?? "")) return { frontend: "dockerfile.v0", attributes };
  const what = asked.frontend === "gateway.v0" ? `gateway.v0 with ${source}` : asked.frontend;
  throw new EngineError("not-implemented", `the frontend ${what} is not implemented by Berth: it has dockerfile.v0`);
}
