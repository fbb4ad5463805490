import type { BuildStepEvent } from "../../../wire/mod.ts";
import type { CliIo, Output } from "../../io.ts";
import { BuildView, type Frame } from "./build-view.ts";

/** Milliseconds between two frames. */
const period = 100;

/** Shows a build's steps on a terminal, redrawn in place until disposed, which leaves all of them there. */
export class LiveBuild implements AsyncDisposable {
  readonly #screen: Output;
  readonly #color: boolean;
  readonly #view = new BuildView(performance.now());
  readonly #timer: Timer;
  #drawn = 0;
  #ended = false;
  /** Frames one after the other. */
  #drawing: Promise<void> = Promise.resolve();

  constructor({ stderr, env }: Pick<CliIo, "stderr" | "env">) {
    this.#screen = stderr;
    this.#color = !env["NO_COLOR"]; // no-color.org: when it is there and not empty
    this.#timer = setInterval(() => this.#draw(this.#view.render(this.#frame())), period);
  }

  apply(event: BuildStepEvent): void {
    this.#view.apply(event, performance.now());
  }

  /** Any number of times. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timer);
    this.#draw(this.#view.final(this.#frame()));
    await this.#drawing;
  }

  #frame(): Frame {
    const { columns, rows } = this.#screen; // 0 where the terminal has not been told its size
    return { columns: columns || 80, rows: rows || 24, now: performance.now(), color: this.#color };
  }

  #draw(lines: readonly string[]): void {
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A\r` : "\r";
    this.#drawn = lines.length;
    const text = `${up}\x1b[J${lines.map((line) => `${line}\n`).join("")}`;
    this.#drawing = this.#drawing.then(() => this.#screen.write(text)).catch(() => undefined);
  }
}
