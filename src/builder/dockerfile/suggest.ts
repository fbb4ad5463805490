import { editDistance } from "../../patterns/mod.ts";

/** ` (did you mean RUN?)` when one of the words is close to what was written, otherwise nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toUpperCase(), candidate) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  const limit = Math.min(3, Math.ceil(word.length / 3));
  return best && best.distance <= limit ? ` (did you mean ${best.candidate}?)` : "";
}
