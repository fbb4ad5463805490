import { editDistance } from "../../patterns/mod.ts";

/** Words further apart than this are no slip of the finger (BuildKit `util/suggest`: fewer than three edits). */
const nearest = 2;
/** Longer words are not compared: names have no such length, hostile input has. */
const longest = 128;

/** The candidate that was likely meant; undefined when none is near, or the word is one of them. */
export function likely(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > longest) return undefined;
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    if (candidate === word) return undefined;
    if (Math.abs(candidate.length - word.length) > nearest) continue;
    const distance = editDistance(word, candidate);
    if (distance <= nearest && distance < (best?.distance ?? nearest + 1)) best = { candidate, distance };
  }
  return best?.candidate;
}

/** ` (did you mean RUN?)`, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const found = likely(word, candidates);
  return found === undefined ? "" : ` (did you mean ${found}?)`;
}
