import { closeSync, fstatSync, openSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
import { gone, plainPath, type Segment, segmentsOf } from "./names.ts";
import type { Rotation } from "./options.ts";
import { decodeIndex, indexLength, trailerSize } from "./packed-index.ts";

/** What a segment that is still to be packed counts of its size, where the disk is the measure: text shrinks to less. */
const shrinks = 4;

/**
 * The segments that go: all but the newest `files - 1` beside the current one. A segment that grew beyond its size, while
 * nobody rotated or faster than anybody looked, counts as the several that it is.
 */
export function surplus(log: string, { maxSize, files, disk }: Rotation): Segment[] {
  const rotated = sealedSegments(log).toReversed();
  let room = disk ?? (files - 1) * maxSize;
  const kept = rotated.findIndex((segment, index) => {
    if (index >= files - 1 || room <= 0) return true;
    room -= disk === undefined ? plainSize(segment) : diskSize(segment);
    return false;
  });
  return kept < 0 ? [] : rotated.slice(kept).toReversed();
}

/** What nobody writes to any more, oldest first: conmon may still write to the newest while there is no current one. */
export function sealedSegments(log: string): Segment[] {
  return segmentsOf(log).slice(0, -1);
}

/** Its number stays taken. */
export function removeSegment(log: string, { path, seq }: Segment): void {
  const newer = segmentsOf(log).some((one) => one.kind !== "current" && one.seq > seq);
  if (!newer) writeFileSync(`${plainPath(log, seq)}${gone}`, "");
  rmSync(path, { force: true });
}

function diskSize({ path, kind }: Segment): number {
  return fileSize(path) / (kind === "packed" ? 1 : shrinks);
}

/** 0 for what has just gone. */
function fileSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Bytes of plain text; 0 for what has just gone. */
function plainSize({ path, kind }: Segment): number {
  if (kind !== "packed") return fileSize(path);
  try {
    return packedPlainSize(path);
  } catch {
    return 0; // gone, or no segment at all: the number of files still bounds it
  }
}

function packedPlainSize(path: string): number {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const length = indexLength(bytesAt(fd, { at: size - trailerSize, length: trailerSize }));
    const frames = decodeIndex(bytesAt(fd, { at: size - trailerSize - length, length }));
    return frames.reduce((sum, { plain }) => sum + plain, 0);
  } finally {
    closeSync(fd);
  }
}

function bytesAt(fd: number, { at, length }: { at: number; length: number }): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(fd, buffer, 0, length, at));
}
