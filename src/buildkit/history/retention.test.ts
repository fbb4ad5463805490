import { expect, test } from "bun:test";
import { hasRoomToPin, outdated } from "./retention.ts";
import type { RecordSize } from "./table.ts";

const hour = 3600 * 1000;
const now = 1000 * hour;

/** The newest first, an hour between two of them. */
function records(count: number, more: (at: number) => Partial<RecordSize> = () => ({})): RecordSize[] {
  return Array.from({ length: count }, (_, at) => {
    return { ref: `r${at}`, completed: now - at * hour, pinned: false, bytes: 1000, ...more(at) };
  });
}

test("a record goes when fifty are newer and it is older than two days; pinned ones stay and do not count", () => {
  expect(outdated(records(50), now)).toEqual([]);
  expect(outdated(records(52), now)).toEqual(["r50", "r51"]);
  expect(
    outdated(
      records(60, () => ({ completed: now })),
      now,
    ),
  ).toEqual([]);
  expect(
    outdated(
      records(52, (at) => ({ pinned: at === 0 || at === 51 })),
      now,
    ),
  ).toEqual([]);
});

test("records go earlier when there are too many, or when they are too large together", () => {
  expect(
    outdated(
      records(502, () => ({ completed: now })),
      now,
    ),
  ).toEqual(["r500", "r501"]);
  const large = (at: number) => ({ completed: now, bytes: 20 << 20, pinned: at === 4 });
  expect(outdated(records(5, large), now)).toEqual(["r2", "r3"]);
});

test("what is pinned takes half of the room at most", () => {
  const pinned = (count: number, bytes: number) => records(count + 1, (at) => ({ bytes, pinned: at > 0 }));
  expect(hasRoomToPin(pinned(1, 16 << 20), "r0")).toBe(true);
  expect(hasRoomToPin(pinned(2, 16 << 20), "r0")).toBe(false);
  expect([hasRoomToPin(pinned(249, 1), "r0"), hasRoomToPin(pinned(250, 1), "r0")]).toEqual([true, false]);
});
