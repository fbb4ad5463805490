import type { Output } from "../../io.ts";

const beat = 1000;

/** One line on a terminal that says what is waited for and for how long; nothing elsewhere. Gone when disposed. */
export class Progress implements Disposable {
  readonly #screen: Output;
  readonly #what: string;
  readonly #began = Date.now();
  #state = "";
  #timer: NodeJS.Timeout | undefined;

  constructor(screen: Output, what: string) {
    this.#screen = screen;
    this.#what = what;
    if (screen.isTTY) this.#timer = setInterval(() => this.#draw(), beat);
  }

  /** What is known now, in a word or two. */
  show(state: string): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#draw();
  }

  [Symbol.dispose](): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    void this.#screen.print("\r\x1b[2K");
  }

  #draw(): void {
    if (!this.#timer) return;
    const seconds = Math.floor((Date.now() - this.#began) / 1000);
    const text = `${this.#what}${this.#state && ` (${this.#state})`}, ${seconds} s`;
    void this.#screen.print(`\r\x1b[2K${text.slice(0, (this.#screen.columns ?? 80) - 1)}`);
  }
}
