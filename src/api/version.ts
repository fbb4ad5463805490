import { EngineError } from "../errors/mod.ts";
import type { Route } from "../http/mod.ts";

/** The API that is spoken; older clients get older answers where the difference shows. */
export const apiVersion = "1.51";
/** The oldest that is promised. Older ones are answered too, as if they were this one. */
export const minApiVersion = "1.24";

/** Compares versions number by number: 1.9 is before 1.24. */
export function atLeast(version: string, wanted: string): boolean {
  const have = version.split(".").map(Number);
  for (const [index, number] of wanted.split(".").map(Number).entries()) {
    const mine = have[index] ?? 0;
    if (mine !== number) return mine > number;
  }
  return true;
}

/** Refuses clients from the future, in dockerd's words; clients that negotiate fall back on it. */
export function guarded(route: Route): Route {
  return {
    ...route,
    handle: (request) => {
      if (request.apiVersion !== apiVersion && atLeast(request.apiVersion, apiVersion))
        throw tooNew(request.apiVersion);
      return route.handle(request);
    },
  };
}

function tooNew(version: string): EngineError {
  const text = `client version ${version} is too new. Maximum supported API version is ${apiVersion}`;
  return new EngineError("invalid", text);
}

/** The content type of attach, exec and logs: told apart from 1.42 on. */
export function streamType(kind: "raw" | "multiplexed", version: string): string {
  const multiplexed = kind === "multiplexed" && atLeast(version, "1.42");
  return `application/vnd.docker.${multiplexed ? "multiplexed" : "raw"}-stream`;
}
