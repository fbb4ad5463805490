import { EngineError } from "../../errors/mod.ts";
import { type BuildCall, buildCalls } from "../../wire/mod.ts";

/** `--call`: what is asked instead of a build, and how the answer is printed. */
export interface CallFlag {
  readonly call: BuildCall | "check";
  readonly isJson: boolean;
}

/** `check` (also `lint`), `outline` or `targets`, with `format=text` or `format=json`; `build` asks nothing (docker buildx build, `--call`). Throws "invalid". */
export function parseCall(text: string): CallFlag | undefined {
  const [method = "", ...fields] = text.split(",");
  const formats = fields.map((field) => /^format=(text|json)$/.exec(field)?.[1]);
  const call = method === "lint" ? "check" : (["check", ...buildCalls] as const).find((one) => one === method);
  if (formats.includes(undefined))
    throw new EngineError("invalid", `invalid --call ${text}: format=text or json is expected`);
  if (method === "build" && fields.length === 0) return undefined;
  if (call) return { call, isJson: formats.at(-1) === "json" };
  throw new EngineError("invalid", `invalid --call ${text}: one of build, check, ${buildCalls.join(", ")} is expected`);
}

/** In BuildKit's words. Throws "forbidden" for more than `network.host`. */
export function parseEntitlement(text: string): string {
  if (text === "network.host") return text;
  if (!["security.insecure", "device"].includes(text.split("=", 1)[0] ?? ""))
    throw new EngineError("invalid", `unknown entitlement ${JSON.stringify(text)}`);
  throw new EngineError("forbidden", `granting entitlement ${text} is not allowed by build daemon configuration`);
}

/** Throws "not-implemented". */
export function refuseAnnotation(text: string): never {
  throw new EngineError("not-implemented", `--annotation ${text} is not implemented by Berth: use --label`);
}

/** In docker's words. Throws "not-implemented" for several. */
export function buildPlatform(given: readonly string[]): string | undefined {
  const [platform, ...more] = new Set(given.flatMap((one) => one.split(",")).filter((one) => one !== ""));
  if (more.length === 0) return platform;
  const why =
    "berth build builds for one platform; docker buildx build, which may use Berth, pushes and writes several";
  throw new EngineError("not-implemented", `Multi-platform build is not supported for the docker driver: ${why}`);
}
