import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Digest } from "../../oci/mod.ts";
import { control } from "../../proto/mod.ts";
import type { StatusFeed } from "../status.ts";

/** Bytes that a build's log may have, and then what its steps came to: those that are left out are fewer and shorter. */
const most = { log: 4 * 1024 * 1024, steps: 1024 * 1024 } as const;
const clipped = Buffer.from("\n[the record of this build ends here: its log is too long]\n");

/** How many steps a build told of, and what they came to. */
export interface StepCounts {
  readonly numTotalSteps: number;
  readonly numCachedSteps: number;
  readonly numCompletedSteps: number;
  readonly numWarnings: number;
}

/**
 * Everything that a build told, in BuildKit's `application/vnd.buildkit.status.v0`: its StatusResponses, before each the number
 * of its bytes, as 32 bits with the lowest byte first.
 */
export class StatusLog {
  readonly #pieces: Uint8Array[] = [];
  readonly #steps = new Map<string, { cached: boolean; completed: boolean }>();
  readonly #hash = new Bun.CryptoHasher("sha256");
  #size = 0;
  #isClipped = false;
  #warnings = 0;

  /** Takes in what the build tells as it comes, until it is over. */
  static async of(feed: Pick<StatusFeed, "follow">): Promise<StatusLog> {
    const log = new StatusLog();
    for await (const response of feed.follow()) log.add(response);
    return log;
  }

  add(response: control.StatusResponse): void {
    this.#count(response);
    if (!this.#isClipped && this.#keep(response, most.log)) return;
    this.#clip(response);
    if (response.vertexes.length === 0) return;
    const steps = create(control.StatusResponseSchema, { vertexes: response.vertexes });
    this.#keep(steps, most.log + most.steps);
  }

  counts(): StepCounts {
    const steps = [...this.#steps.values()];
    return {
      numTotalSteps: steps.length,
      numCachedSteps: steps.filter(({ cached }) => cached).length,
      numCompletedSteps: steps.filter(({ completed }) => completed).length,
      numWarnings: this.#warnings,
    };
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#pieces);
  }

  /** Once. */
  digest(): Digest {
    return `sha256:${this.#hash.digest("hex")}`;
  }

  #count({ vertexes, warnings }: control.StatusResponse): void {
    this.#warnings += warnings.length;
    for (const { digest, cached, completed } of vertexes) {
      const step = this.#steps.get(digest) ?? { cached: false, completed: false };
      step.cached ||= cached;
      step.completed ||= completed !== undefined;
      this.#steps.set(digest, step);
    }
  }

  /** Says once, in the step that is cut off, that there was more. */
  #clip({ logs: [last] }: control.StatusResponse): void {
    if (!this.#isClipped && last)
      this.#keep(create(control.StatusResponseSchema, { logs: [{ ...last, msg: clipped }] }), most.log + most.steps);
    this.#isClipped = true;
  }

  /** False when there is no room for it. */
  #keep(response: control.StatusResponse, room: number): boolean {
    const message = toBinary(control.StatusResponseSchema, response);
    if (this.#size + 4 + message.length > room) return false;
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    this.#pieces.push(length, message);
    this.#hash.update(length).update(message);
    this.#size += 4 + message.length;
    return true;
  }
}

/** The responses of such a log. */
export function* statusResponses(log: Uint8Array): Generator<control.StatusResponse> {
  const bytes = Buffer.from(log.buffer, log.byteOffset, log.length);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at);
    yield fromBinary(control.StatusResponseSchema, bytes.subarray(at + 4, end));
    at = end;
  }
}
