import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "./control_pb.ts";

/** `time`: milliseconds since 1970. */
export function timestampOf(time: number): Timestamp {
  return create(TimestampSchema, { seconds: BigInt(Math.floor(time / 1000)), nanos: (time % 1000) * 1_000_000 });
}
