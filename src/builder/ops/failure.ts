import { EngineError } from "../../errors/mod.ts";
import type { ExecOp, Vertex } from "../graph/vertex.ts";

/** A process of the build ended with another status than 0. */
export class StepFailure extends EngineError {
  /** 1 to 255. */
  readonly code: number;
  /** What it left, when that was to be kept. */
  readonly kept?: KeptFailure;

  constructor(message: string, code: number, kept?: KeptFailure) {
    super("invalid", message);
    this.code = code;
    if (kept) this.kept = kept;
  }
}

export interface KeptFailure {
  readonly vertex: Vertex;
  readonly op: ExecOp;
  /** Committed, on top of what the step stood on. */
  readonly snapshot: string;
}
