import type { Answer } from "./answer.ts";

/** The lines that only one of them has, in order, with `-` (golden) or `+` (answer) in front: a shortest edit. */
export function compare(golden: Answer, answer: Answer): string[] {
  const common = commonLengths(golden, answer);
  const changes: string[] = [];
  let [i, j] = [0, 0];
  while (i < golden.length || j < answer.length) {
    if (i < golden.length && golden[i] === answer[j]) {
      i++;
      j++;
    } else if (j >= answer.length || (i < golden.length && at(common, i + 1, j) >= at(common, i, j + 1))) {
      changes.push(`- ${golden[i++]}`);
    } else {
      changes.push(`+ ${answer[j++]}`);
    }
  }
  return changes;
}

/** `[i][j]`: how many lines of golden from i on and of answer from j on are in both, in order. */
function commonLengths(golden: Answer, answer: Answer): readonly Uint32Array[] {
  const rows = Array.from({ length: golden.length + 1 }, () => new Uint32Array(answer.length + 1));
  for (let i = golden.length - 1; i >= 0; i--) {
    for (let j = answer.length - 1; j >= 0; j--) {
      const longest = Math.max(at(rows, i + 1, j), at(rows, i, j + 1));
      (rows[i] as Uint32Array)[j] = golden[i] === answer[j] ? at(rows, i + 1, j + 1) + 1 : longest;
    }
  }
  return rows;
}

function at(rows: readonly Uint32Array[], i: number, j: number): number {
  return rows[i]?.[j] ?? 0;
}
