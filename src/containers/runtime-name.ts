import { EngineError } from "../errors/mod.ts";
import type { RuntimeName } from "../runtime/mod.ts";

/** Docker's other name for its own one. */
const shim = "io.containerd.runc.v2";

/** Which OCI runtime HostConfig.Runtime means. Throws "invalid" in Docker's words for one that Berth does not know. */
export function runtimeName(asked: string): RuntimeName {
  if (asked === "crun" || asked === "runc") return asked;
  if (asked === shim) return "runc";
  throw new EngineError("invalid", `unknown or invalid runtime name: ${asked}`);
}
