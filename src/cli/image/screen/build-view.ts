import type { BuildStepEvent } from "../../../wire/mod.ts";

type State = "waiting" | "running" | "done" | "cached" | "failed";

interface Shown {
  readonly text: string;
  state: State;
  /** Milliseconds. */
  started: number;
  ended: number;
  /** Last lines of output; the last one may not be whole. */
  readonly lines: string[];
}

export interface Frame {
  readonly columns: number;
  readonly rows: number;
  /** Milliseconds, on the clock that `apply` is given. */
  readonly now: number;
  readonly color: boolean;
}

/** Kept of each step's output, and shown of one that runs. */
const keptLines = 20;
const shownLines = 4;

/** What is known of a build's steps, as lines for a terminal. Knows no clock and no screen. */
export class BuildView {
  readonly #steps = new Map<number, Shown>();
  readonly #begun: number;

  constructor(now: number) {
    this.#begun = now;
  }

  apply(event: BuildStepEvent, now: number): void {
    if ("Steps" in event) {
      for (const { Id, Text } of event.Steps) {
        this.#steps.set(Id, { text: oneLine(Text), state: "waiting", started: now, ended: now, lines: [""] });
      }
      return;
    }
    const step = this.#steps.get(event.Step.Id);
    if (!step) return;
    if (event.Step.Event === "output") addOutput(step.lines, event.Step.Text);
    else changeState(step, { state: event.Step.Event === "started" ? "running" : event.Step.Event, now });
  }

  /** As many lines as fit; what runs matters most, then what ended last. */
  render(frame: Frame): string[] {
    const begun = [...this.#steps.values()].filter(({ state }) => state !== "waiting");
    const blocks = begun.map((step) => ({ step, lines: this.#block(step, frame) }));
    const room = Math.max(1, frame.rows - 2);
    for (const { step } of [...blocks]) {
      const height = blocks.reduce((sum, { lines }) => sum + lines.length, 0);
      if (height <= room) break;
      if (step.state !== "running")
        blocks.splice(
          blocks.findIndex((block) => block.step === step),
          1,
        );
    }
    const lines = blocks.flatMap((block) => block.lines).slice(-room);
    return [this.#title(frame), ...lines];
  }

  /** Everything, for the end: all steps, and what the failed one said last. */
  final(frame: Frame): string[] {
    const failed = [...this.#steps.values()].filter(({ state }) => state === "failed");
    const all = this.render({ ...frame, rows: Number.POSITIVE_INFINITY });
    return [...all, ...failed.flatMap(({ text, lines }) => ["------", ` > ${text}:`, ...said(lines), "------"])];
  }

  #title({ now, columns, color }: Frame): string {
    const states = [...this.#steps.values()].map(({ state }) => state);
    const count = (state: State) => states.filter((one) => one === state).length;
    const ended = states.length - count("waiting") - count("running");
    const cached = count("cached") > 0 ? `, ${count("cached")} cached` : "";
    const verb = ended === states.length && ended > 0 ? "Built" : count("failed") > 0 ? "Failed" : "Building";
    const text = `[+] ${verb} ${seconds(now - this.#begun)} (${ended}/${states.length}${cached})`;
    return painted(text.slice(0, columns), color ? 1 : 0);
  }

  #block(step: Shown, { now, columns, color }: Frame): string[] {
    const time = seconds((step.state === "running" ? now : step.ended) - step.started);
    const mark = step.state === "cached" ? "CACHED " : step.state === "failed" ? "ERROR " : "";
    const width = columns - time.length - 1;
    const head = ` => ${mark}${step.text}`.slice(0, width).padEnd(width);
    const line = painted(`${head} ${time}`, color ? colors[step.state] : 0);
    if (step.state !== "running") return [line];
    return [
      line,
      ...said(step.lines)
        .slice(-shownLines)
        .map((text) => ` => => ${text}`.slice(0, columns)),
    ];
  }
}

/** SGR parameters (ECMA-48): 36 cyan, 34 blue, 31 red. */
const colors = { waiting: 0, running: 0, done: 34, cached: 36, failed: 31 } as const satisfies Record<State, number>;

function painted(text: string, color: number): string {
  return color === 0 ? text : `\x1b[${color}m${text}\x1b[0m`;
}

function seconds(milliseconds: number): string {
  return `${(Math.max(0, milliseconds) / 1000).toFixed(1)}s`;
}

function changeState(step: Shown, { state, now }: { state: State; now: number }): void {
  if (state === "running") step.started = now;
  step.state = state;
  step.ended = now;
}

/** A carriage return begins the line again, as programs with progress bars mean it. */
function addOutput(lines: string[], text: string): void {
  const parts = text.replaceAll("\r\n", "\n").split("\n");
  for (const [index, part] of parts.entries()) {
    const last = index === 0 ? (lines.pop() ?? "") : "";
    const whole = last + part;
    lines.push(whole.slice(whole.lastIndexOf("\r", whole.length - 2) + 1).slice(0, longestLine));
  }
  lines.splice(0, lines.length - keptLines);
}

const longestLine = 4096;

function said(lines: readonly string[]): string[] {
  return lines.map(oneLine).filter((line) => line !== "");
}

/** What a program writes must not move the cursor or change colours here. */
function oneLine(text: string): string {
  return text
    .replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, "")
    .replace(/\s+/g, " ")
    .replace(/[\x00-\x1f\x7f-\x9f]/g, "")
    .trimEnd();
}
