import { EngineError } from "../../errors/mod.ts";

/** A process of the build ended with another status than 0. */
export class StepFailure extends EngineError {
  /** 1 to 255. */
  readonly code: number;

  constructor(message: string, code: number) {
    super("invalid", message);
    this.code = code;
  }
}
