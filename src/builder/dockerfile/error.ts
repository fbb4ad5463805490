import { EngineError } from "../../errors/mod.ts";

/** An error in a Dockerfile, with its place as BuildKit writes it. */
export function dockerfileError(line: number, message: string): EngineError {
  return new EngineError("invalid", `dockerfile parse error on line ${line}: ${message}`);
}
