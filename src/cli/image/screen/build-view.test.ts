import { expect, test } from "bun:test";
import { BuildView, type Frame } from "./build-view.ts";

const frame: Frame = { columns: 40, rows: 24, now: 2500, color: false };

function building(): BuildView {
  const view = new BuildView(0);
  const steps = ["FROM base", "RUN make \\\n  all", "RUN other", "COPY . ."];
  view.apply({ Steps: steps.map((Text, Id) => ({ Id, Text })) }, 0);
  view.apply({ Step: { Id: 0, Event: "cached" } }, 0);
  for (const Id of [1, 2]) view.apply({ Step: { Id, Event: "started" } }, 500);
  return view;
}

const output = (view: BuildView, Text: string) => view.apply({ Step: { Id: 1, Event: "output", Text } }, 600);

test("what has begun, how long it takes, and what it says", () => {
  const view = building();
  output(view, "cc a.c\ncc b");
  output(view, ".c\n");
  expect(view.render(frame)).toEqual([
    "[+] Building 2.5s (1/4, 1 cached)",
    " => CACHED FROM base                0.0s",
    " => RUN make \\ all                  2.0s",
    " => => cc a.c",
    " => => cc b.c",
    " => RUN other                       2.0s",
  ]);
});

test("only the last lines are shown, and nothing of what would move the cursor", () => {
  const view = building();
  output(view, "1\n2\n3\n4\n\x1b[31mred\x1b[0m\x07\n10%\r20%\r100%\r\nlast\x1b[2J");
  expect(view.render(frame).slice(3, 7)).toEqual([" => => 4", " => => red", " => => 100%", " => => last"]);
  output(view, `\n${"x".repeat(9000)}`);
  expect(view.render(frame)[6]).toBe(` => => ${"x".repeat(33)}`);
});

test("a small screen shows what runs", () => {
  const view = building();
  output(view, "one\ntwo\nthree");
  expect(view.render({ ...frame, rows: 5 })).toEqual([
    "[+] Building 2.5s (1/4, 1 cached)",
    " => => two",
    " => => three",
    " => RUN other                       2.0s",
  ]);
});

test("at the end everything stays, and a failed step's last words", () => {
  const view = building();
  output(view, "error: no\n");
  view.apply({ Step: { Id: 2, Event: "done" } }, 900);
  view.apply({ Step: { Id: 1, Event: "failed", Text: "code 2" } }, 1000);
  expect(view.final(frame)).toEqual([
    "[+] Failed 2.5s (3/4, 1 cached)",
    " => CACHED FROM base                0.0s",
    " => ERROR RUN make \\ all            0.5s",
    " => RUN other                       0.4s",
    "------",
    " > RUN make \\ all:",
    "error: no",
    "------",
  ]);
});

test("colours only where they are wanted", () => {
  expect(building().render({ ...frame, color: true })[1]).toBe(
    "\x1b[36m => CACHED FROM base                0.0s\x1b[0m",
  );
  expect(building().render(frame).join("")).not.toContain("\x1b");
});
