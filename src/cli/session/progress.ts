import type { Writable } from "node:stream";
import { EngineError } from "../../errors/mod.ts";
import type { ProgressMessage } from "../../wire/mod.ts";
import { write } from "../io.ts";
import { decimalSize } from "../output/units.ts";

type Screen = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/**
 * Shows a progress stream (pull, push, load): a line with a bar for each layer, redrawn in place, on a terminal; one plain
 * line for each change of state elsewhere. Returns what `aux` lines carried. Throws the stream's error.
 */
export async function showProgress(messages: AsyncIterable<ProgressMessage>, screen: Screen): Promise<unknown[]> {
  const view = screen.isTTY ? new Bars(screen) : new Plain(screen);
  const aux: unknown[] = [];
  for await (const message of messages) {
    if (message.error !== undefined) throw new EngineError("internal", message.errorDetail?.message ?? message.error);
    if (message.aux !== undefined) aux.push(message.aux);
    else await view.show(message);
  }
  return aux;
}

class Plain {
  readonly #screen: Screen;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  async show(message: ProgressMessage): Promise<void> {
    if (message.stream !== undefined) return write(this.#screen, message.stream);
    if (message.status === undefined || message.progressDetail?.total) return;
    await write(this.#screen, `${message.id ? `${message.id}: ` : ""}${message.status}\n`);
  }
}

class Bars {
  readonly #screen: Screen;
  /** Ids in the order of their lines, counted from the first. */
  readonly #lines: string[] = [];

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  async show(message: ProgressMessage): Promise<void> {
    if (message.stream !== undefined) return write(this.#screen, message.stream);
    const { id, status } = message;
    if (status === undefined) return;
    if (id === undefined || id === "" || status.startsWith("Pulling from")) {
      await write(this.#screen, `${id ? `${id}: ` : ""}${status}\n`);
      this.#lines.length = 0;
      return;
    }
    const text = cut(`${id}: ${status} ${bar(message)}`.trimEnd(), this.#screen.columns ?? 80);
    const at = this.#lines.indexOf(id);
    if (at < 0) {
      this.#lines.push(id);
      return write(this.#screen, `${text}\n`);
    }
    const up = this.#lines.length - at;
    await write(this.#screen, `\x1b[${up}A\r\x1b[2K${text}\x1b[${up}B\r`);
  }
}

const width = 40;

function bar({ progressDetail: detail }: ProgressMessage): string {
  const { current, total } = detail ?? {};
  if (current === undefined) return "";
  if (!total) return decimalSize(current);
  const filled = Math.min(width, Math.floor((current / total) * width));
  return `[${"=".repeat(filled)}${filled < width ? ">" : ""}${" ".repeat(Math.max(0, width - filled - 1))}] ${decimalSize(current)}/${decimalSize(total)}`;
}

function cut(text: string, columns: number): string {
  return text.length > columns ? text.slice(0, columns) : text;
}
