import type { Job } from "../../host/mod.ts";
import { compareListings } from "../explain/listing.ts";
import type { FileChanges } from "../explain/reasons.ts";

export interface CompareListingsInput {
  readonly before: Uint8Array;
  readonly now: Uint8Array;
}

export const compareListingsJob: Job<CompareListingsInput, FileChanges> = {
  name: "builder.compareListings",
  run: ({ before, now }) => compareListings(before, now),
};
