import { EngineError } from "../../errors/mod.ts";
import type { ProgressMessage } from "../../wire/mod.ts";
import type { Output } from "../io.ts";
import { decimalSize } from "../output/units.ts";

/**
 * Shows a progress stream (pull, push, load): a line with a bar for each layer, redrawn in place, on a terminal; one plain
 * line for each change of state elsewhere. Returns what `aux` lines carried. Throws the stream's error.
 */
export async function showProgress(messages: AsyncIterable<ProgressMessage>, screen: Output): Promise<unknown[]> {
  const view = screen.isTTY ? new Bars(screen) : new Plain(screen);
  const aux: unknown[] = [];
  for await (const message of messages) {
    if (message.error !== undefined) throw failed(message.error, message.errorDetail);
    if (message.aux !== undefined) aux.push(message.aux);
    else await view.show(message);
  }
  return aux;
}

function failed(error: string, detail: ProgressMessage["errorDetail"]): EngineError {
  return new EngineError("internal", detail?.message ?? error, { cause: detail });
}

/** The status that a failed build step left, where the stream's error tells one. */
export function codeOf(err: unknown): number | undefined {
  const detail = err instanceof Error ? (err.cause as ProgressMessage["errorDetail"]) : undefined;
  return typeof detail?.code === "number" && detail.code > 0 ? detail.code : undefined;
}

/** Drops what only tells how far it got (`--quiet`); errors and `aux` stay. */
export async function* withoutProgress(messages: AsyncIterable<ProgressMessage>): AsyncIterable<ProgressMessage> {
  for await (const message of messages) if (message.error !== undefined || message.aux !== undefined) yield message;
}

class Plain {
  readonly #screen: Output;

  constructor(screen: Output) {
    this.#screen = screen;
  }

  async show(message: ProgressMessage): Promise<void> {
    if (message.stream !== undefined) return this.#screen.write(message.stream);
    if (message.status === undefined || message.progressDetail?.total || message.progressDetail?.current) return;
    await this.#screen.write(`${message.id ? `${message.id}: ` : ""}${message.status}\n`);
  }
}

class Bars {
  readonly #screen: Output;
  /** Ids in the order of their lines, counted from the first. */
  readonly #lines: string[] = [];

  constructor(screen: Output) {
    this.#screen = screen;
  }

  async show(message: ProgressMessage): Promise<void> {
    if (message.stream !== undefined) return this.#screen.write(message.stream);
    const { id, status } = message;
    if (status === undefined) return;
    if (id === undefined || id === "" || status.startsWith("Pulling from")) {
      await this.#screen.write(`${id ? `${id}: ` : ""}${status}\n`);
      this.#lines.length = 0;
      return;
    }
    const text = fitted(message, this.#screen.columns ?? 80);
    const at = this.#lines.indexOf(id);
    if (at < 0) {
      this.#lines.push(id);
      return this.#screen.write(`${text}\n`);
    }
    await this.#redraw(text, this.#lines.length - at);
  }

  /** Lines that have scrolled off the screen cannot be reached any more, and are left as they are. */
  async #redraw(text: string, up: number): Promise<void> {
    if (up >= (this.#screen.rows ?? 24)) return;
    await this.#screen.write(`\x1b[${up}A\r\x1b[2K${text}\x1b[${up}B\r`);
  }
}

function fitted(message: ProgressMessage, columns: number): string {
  const head = `${message.id}: ${message.status} `;
  const text = head + bar(message, columns - head.length);
  return text.trimEnd().slice(0, columns);
}

const widest = 50;
const narrowest = 8;

/** `[====>    ]  1.2MB/3.4MB`; without the bar where there is no room for one. */
function bar({ progressDetail: detail }: ProgressMessage, room: number): string {
  const { current, total } = detail ?? {};
  if (current === undefined) return "";
  if (!total) return decimalSize(current);
  const numbers = `${decimalSize(current)}/${decimalSize(total)}`;
  const width = Math.min(widest, room - numbers.length - 4);
  if (width < narrowest) return numbers;
  const filled = Math.min(width, Math.floor((current / total) * width));
  const head = filled < width ? ">" : "";
  return `[${"=".repeat(filled)}${head}${" ".repeat(Math.max(0, width - filled - 1))}]  ${numbers}`;
}
