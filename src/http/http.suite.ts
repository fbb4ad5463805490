import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kindOf, messageOf } from "../errors/mod.ts";
import type { Route, ServeOptions, Server } from "./mod.ts";
import { serve } from "./mod.ts";

/** A server on a socket of its own, for tests. */
export interface Fixture extends AsyncDisposable {
  readonly path: string;
  readonly server: Server;
  readonly errors: unknown[];
}

export async function fixture(routes: readonly Route[], extra: Partial<ServeOptions> = {}): Promise<Fixture> {
  const directory = mkdtempSync(join(tmpdir(), "berth-http-"));
  const path = join(directory, "s.sock");
  const errors: unknown[] = [];
  const onError: ServeOptions["onError"] = (err) => {
    errors.push(err);
    return { kind: "json", status: kindOf(err) === "invalid" ? 400 : 500, body: { message: messageOf(err) } };
  };
  const server = await serve({ listen: `unix://${path}`, routes, onError, versioned: { newest: "1.51" }, ...extra });
  const dispose = async () => {
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  };
  return { path, server, errors, [Symbol.asyncDispose]: dispose };
}

/** A bare connection that can half-close, and remembers what came. */
export class Wire {
  readonly socket: Socket;
  received = "";
  ended = false;
  readonly #changes = new EventTarget();

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1");
      this.#changes.dispatchEvent(new Event("change"));
    });
    const end = () => {
      this.ended = true;
      this.#changes.dispatchEvent(new Event("change"));
    };
    this.socket.on("end", end);
    this.socket.on("close", end);
    this.socket.on("error", end);
  }

  send(text: string): this {
    this.socket.write(text);
    return this;
  }

  async until(done: (wire: Wire) => boolean): Promise<string> {
    while (!done(this)) {
      if (this.ended) throw new Error(`connection ended after ${JSON.stringify(this.received)}`);
      await new Promise((resolve) => this.#changes.addEventListener("change", resolve, { once: true }));
    }
    return this.received;
  }

  text(part: string): Promise<string> {
    return this.until((wire) => wire.received.includes(part));
  }

  async end(): Promise<string> {
    while (!this.ended)
      await new Promise((resolve) => this.#changes.addEventListener("change", resolve, { once: true }));
    return this.received;
  }
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(bytes)).toString();
}
