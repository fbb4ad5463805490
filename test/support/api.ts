import { connect, type Socket } from "node:net";
import type { Engine } from "./engine.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** What the body says, where it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

/** One request of the API, without a CLI's own checks: `call(engine, "POST /v1.51/containers/create", {…})`. */
export async function call(engine: Pick<Engine, "host">, request: string, body?: unknown): Promise<Answer> {
  const [method = "", path = ""] = request.split(" ");
  const raw = body instanceof Uint8Array || typeof body === "string";
  const response = await fetch(`http://berth${path}`, {
    method,
    unix: engine.host.replace("unix://", ""),
    ...(body !== undefined && { body: raw ? (body as BodyInit) : JSON.stringify(body) }),
    headers: { "Content-Type": raw && body instanceof Uint8Array ? "application/x-tar" : "application/json" },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A connection on which the test speaks HTTP itself. */
export function dial(engine: Engine): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(engine.host.replace("unix://", ""), () => resolve(socket)).on("error", reject);
  return promise;
}
