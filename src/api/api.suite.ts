import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "../http/mod.ts";
import { nullLog } from "../log/mod.ts";
import { type ApiServices, apiErrors, apiHeaders, apiMissing, apiRoutes, apiVersion } from "./mod.ts";

type Fakes = { readonly [K in keyof ApiServices]?: Partial<ApiServices[K]> };

/** A service of which only the given methods exist; any other call fails the request. */
function fake<T extends object>(name: string, methods: Partial<T> = {}): T {
  const get = (_: object, key: string | symbol) => {
    const method = (methods as Record<string | symbol, unknown>)[key];
    if (method !== undefined) return method;
    return () => {
      throw new Error(`unexpected call of ${name}.${String(key)}`);
    };
  };
  return new Proxy({}, { get }) as T;
}

export function fakeServices(fakes: Fakes): ApiServices {
  return {
    containers: fake("containers", fakes.containers),
    images: fake("images", fakes.images),
    transfer: fake("transfer", fakes.transfer),
    networks: fake("networks", fakes.networks),
    volumes: fake("volumes", fakes.volumes),
    events: fake("events", fakes.events),
    builder: fake("builder", fakes.builder),
    build: fake("build", fakes.build),
    buildKit: fake("buildKit", fakes.buildKit),
    system: fake("system", fakes.system),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly body: unknown;
}

export interface ApiFixture extends AsyncDisposable {
  readonly path: string;
  ask(method: string, path: string, options?: { body?: unknown; headers?: Record<string, string> }): Promise<Answer>;
}

/** The API on a real socket, with fakes behind it. */
export async function api(fakes: Fakes = {}): Promise<ApiFixture> {
  const directory = mkdtempSync(join(tmpdir(), "berth-api-"));
  const path = join(directory, "s.sock");
  const server = await serve({
    listen: `unix://${path}`,
    routes: apiRoutes(fakeServices(fakes)),
    onError: apiErrors(nullLog),
    onMissing: apiMissing,
    headers: apiHeaders("0.1.0"),
    versioned: { newest: apiVersion },
  });
  return {
    path,
    ask: (method, target, options = {}) => ask(`http://x${target}`, { unix: path, method, ...init(options) }),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function init({ body, headers }: { body?: unknown; headers?: Record<string, string> }): RequestInit {
  const raw = typeof body === "string" || body instanceof Uint8Array || body === undefined;
  return {
    ...(body !== undefined && { body: raw ? (body as BodyInit) : JSON.stringify(body) }),
    ...(headers && { headers }),
  };
}

async function ask(url: string, options: RequestInit & { unix: string }): Promise<Answer> {
  const response = await fetch(url, options);
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Runs the real docker CLI against the socket. */
export async function docker(
  path: string,
  args: readonly string[],
  stdin = "",
): Promise<{ code: number; out: string; err: string }> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", DOCKER_CONFIG: "/nonexistent" };
  const child = Bun.spawn([dockerCli, "-H", `unix://${path}`, ...args], {
    env,
    stdin: Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, err };
}

export const dockerCli = "/usr/local/bin/docker";
