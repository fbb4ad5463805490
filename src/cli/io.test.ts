import { expect, test } from "bun:test";

/** A program of its own, since these are about a process's own descriptors. */
const program = `
import { print, processIo } from ${JSON.stringify(new URL("./io.ts", import.meta.url).pathname)};
const io = processIo();
if (io.stdout.isTTY || io.stdout.columns !== undefined) throw new Error("no terminal is here");
await print(io, "words ");
for (let at = 0; at < Number(process.argv[2]); at++) await io.stdout.write(Buffer.alloc(1000, "x"));
await io.stderr.print("told");
`;

function shell(line: string) {
  const ran = Bun.spawnSync(["bash", "-c", line], {
    env: { ...process.env, BUN: process.execPath, PROGRAM: program },
    stdout: "pipe",
    stderr: "pipe",
  });
  return { status: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
}
const run = (count: number) => `"$BUN" -e "$PROGRAM" x ${count}`;

test("words and streams come in order, to a pipe and to a file", () => {
  expect(shell(`${run(0)} | cat`)).toEqual({ status: 0, out: "words ", err: "told" });
  expect(shell(`${run(3000)} | wc -c`).out.trim()).toBe("3000006");
  expect(shell(`f=$(mktemp); ${run(3)} > $f; wc -c < $f; rm $f`).out.trim()).toBe("3006");
});

test("a reader that has gone ends the program as SIGPIPE would", () => {
  expect(shell(`${run(3000)} | head -c 3; echo " \${PIPESTATUS[0]}"`)).toMatchObject({ out: "wor 141\n", err: "" });
});
