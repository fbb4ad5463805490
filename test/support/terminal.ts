import { berth, cliEnv } from "./engine.ts";
import { patience, until } from "./until.ts";

export interface Screen extends AsyncDisposable {
  /** Everything that has been written to it. */
  readonly text: string;
  type(text: string): void;
  /** Changes its size until the program has shown this: a CLI that has just started may not be listening yet. */
  resizeUntil(size: { readonly columns: number; readonly rows: number }, shown: string): Promise<void>;
  /** Waits until this has been written. */
  shows(text: string | RegExp): Promise<void>;
  readonly exited: Promise<number>;
}

/** Runs a CLI on a pseudo-terminal of 111 columns and 33 rows. */
export function onTerminal(which: "berth" | "docker", host: string, argv: readonly string[]): Screen {
  let text = "";
  const child = Bun.spawn([which === "berth" ? berth : "docker", ...argv], {
    env: { ...cliEnv(host), TERM: "xterm" },
    timeout: 30_000 * patience,
    killSignal: "SIGKILL",
    terminal: { cols: 111, rows: 33, data: (_, chunk) => (text += Buffer.from(chunk).toString()) },
  });
  return {
    get text() {
      return text;
    },
    type: (typed) => void child.terminal?.write(typed),
    resizeUntil: async ({ columns, rows }, shown) => {
      for (let tries = 0; tries < 30 && !text.includes(shown); tries++) {
        child.terminal?.resize(columns - 1, rows);
        child.terminal?.resize(columns, rows);
        await until(shown, () => text.includes(shown), 1).catch(() => undefined);
      }
      if (!text.includes(shown)) throw new Error(`the terminal never shows ${shown}; it shows ${JSON.stringify(text)}`);
    },
    shows: async (wanted) => {
      const there = () => (typeof wanted === "string" ? text.includes(wanted) : wanted.test(text));
      await until(() => `the terminal shows ${wanted}; it shows ${JSON.stringify(text)}`, there);
    },
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill("SIGKILL");
      await child.exited;
      child.terminal?.close();
    },
  };
}
