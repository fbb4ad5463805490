import { EngineError } from "../errors/mod.ts";
import { callOver } from "../grpc/mod.ts";
import type { HttpRequest, Reply } from "../http/mod.ts";
import { Session, type SessionFacts } from "./session.ts";
import type { Sessions } from "./sessions.ts";

/** `POST /session`: the connection becomes HTTP/2 with the daemon as its client, and stays open as long as the client wants. */
export function sessionReply(sessions: Sessions, request: HttpRequest): Reply {
  const facts = sessionFacts((name) => request.headers[name]);
  return {
    kind: "hijack",
    type: "application/vnd.docker.raw-stream",
    protocol: "h2c",
    run: async ({ input, write, raw, signal }) => {
      using caller = callOver({ input, write, close: () => void raw.destroy() });
      // docker's CLI 20.10 waits for ever when its build ends before its side of the session has begun.
      await caller.ready;
      using _ = sessions.add(new Session(caller, facts));
      const stop = () => caller[Symbol.dispose]();
      signal.addEventListener("abort", stop, { once: true });
      await caller.closed;
    },
  };
}

type HeaderValue = string | readonly string[] | undefined;

/** What a client says of its session in `X-Docker-Expose-Session-…`. Throws "invalid" without an id. */
export function sessionFacts(header: (name: string) => HeaderValue): SessionFacts {
  const values = (name: string) => [header(`x-docker-expose-session-${name}`) ?? []].flat();
  const [id] = values("uuid");
  if (!id) throw new EngineError("invalid", "a session needs an id (X-Docker-Expose-Session-Uuid)");
  const methods = values("grpc-method").flatMap((value) => value.toLowerCase().split(/,\s*/));
  return { id, sharedKey: values("sharedkey")[0] ?? "", methods: new Set(methods) };
}
