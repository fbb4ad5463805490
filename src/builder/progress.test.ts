import { expect, test } from "bun:test";
import type { Lines } from "./dockerfile/error.ts";
import type { Vertex } from "./graph/vertex.ts";
import { StepOutput } from "./progress.ts";

const vertex = (id: number): Vertex => ({ id, op: { kind: "workdir", path: "/", user: "" }, inputs: [] });
const [image, left, right] = [vertex(0), vertex(1), vertex(2)];
const steps = [
  { text: "FROM a", vertex: image, runs: false },
  { text: "RUN left", vertex: left, runs: true },
  { text: "ENV x", vertex: left, runs: false },
  { text: "FROM scratch", runs: false },
  { text: "COPY right", lines: { line: 7, endLine: 8 }, vertex: right, runs: true },
];

const quote = ({ line }: Lines) => `line ${line}\n`;

function output() {
  const said: string[] = [];
  return { said, output: new StepOutput(steps, { sink: ({ stream }) => said.push(stream ?? ""), quote }) };
}

test("steps that run at the same time are told in order, the first one live", () => {
  const { said, output: out } = output();
  out.advance();
  out.write(right, "early\n");
  out.done(right, { id: "r", cached: false });
  expect(said).toEqual(["Step 1/5 : FROM a\n"]);
  out.done(image, { id: "i", cached: false });
  out.write(left, "live\n");
  expect(said.slice(1)).toEqual([" ---> i\n", "Step 2/5 : RUN left\n", "live\n"]);
  out.done(left, { id: "l", cached: false });
  expect(said.slice(4)).toEqual([
    " ---> l\n",
    "Step 3/5 : ENV x\n",
    " ---> l\n",
    "Step 4/5 : FROM scratch\n",
    " ---> \n",
    "Step 5/5 : COPY right\n",
    "early\n",
    " ---> r\n",
  ]);
});

test("a step that fails is told with what it said, and is the last", () => {
  const { said, output: out } = output();
  out.advance();
  out.write(right, "trouble\n");
  out.fail(right, "no");
  out.done(image, { id: "i", cached: false });
  out.write(left, "late\n");
  expect(said).toEqual(["Step 1/5 : FROM a\n", "Step 5/5 : COPY right\n", "trouble\n", "line 7\n"]);
});

test("what waits for its turn is bounded", () => {
  const { said, output: out } = output();
  out.advance();
  for (let sent = 0; sent < 1000; sent++) out.write(right, "x".repeat(100_000));
  for (const [id, one] of [image, left, right].entries()) out.done(one, { id: `${id}`, cached: false });
  const characters = said.reduce((sum, text) => sum + text.length, 0);
  expect([characters > 60_000_000, characters < 70_000_000]).toEqual([true, true]);
  expect(said.filter((text) => text.includes("output clipped"))).toHaveLength(1);
});
