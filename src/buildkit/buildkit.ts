import type { BuildSession } from "../builder/mod.ts";
import type { HijackedSocket, HttpRequest, Reply } from "../http/mod.ts";
import { Builds } from "./builds.ts";
import { grpcReply, serveGrpc } from "./grpc-route.ts";
import { BuildHistory, type HistoryOptions } from "./history/history.ts";
import { Jobs } from "./jobs.ts";
import { type ContextsRequest, openContexts, parseContexts } from "./named-contexts.ts";
import { sessionBuild } from "./session-build.ts";
import { sessionReply } from "./session-route.ts";
import { Sessions } from "./sessions.ts";
import type { BuildKitEngine } from "./solve.ts";

/**
 * BuildKit's doors to the builder. A client opens a *session*: a connection on which the daemon is the caller and the client
 * answers with its files, secrets, ssh agents and credentials. Then it asks for a *build* on another connection, naming the
 * session: by `POST /build?version=2`, or by BuildKit's Control API, gRPC on a connection that `POST /grpc` turns into HTTP/2.
 * There a build is a *job* with a reference of the client's, which it follows, and may steer, and afterwards a *record*. This
 * module translates; the builder decides.
 */
export interface BuildKit {
  /** `POST /session`. */
  session(request: HttpRequest): Reply;
  /** `POST /build?version=2`. */
  build(request: HttpRequest): Promise<Reply>;
  /** `POST /build/cancel`. */
  cancel(request: HttpRequest): Reply;
  /** `POST /grpc`. */
  grpc(): Reply;
  /** The same on a connection that began with HTTP/2's preface. */
  http2(socket: HijackedSocket): Promise<void>;
  /** What the session of this id offers to a classic build. Throws "unavailable" when it is not opened in time. */
  sessionOf(id: string, signal: AbortSignal): Promise<BuildSession>;
  /** What the builder shall mean by the names of a classic build's contexts. Throws as {@link parseContext} does. */
  openContexts(
    values: Readonly<Record<string, string>>,
    request: NamedContextsRequest,
  ): Promise<Record<string, string>>;
}

export interface NamedContextsRequest extends Omit<ContextsRequest, "contexts" | "session"> {
  readonly sessionId: string | undefined;
}

/** The tables of what was built come with `buildKitMigrations`. */
export function createBuildKit(engine: BuildKitEngine, options: HistoryOptions): BuildKit {
  const history = new BuildHistory(options);
  const door = { engine, sessions: new Sessions(), builds: new Builds(), jobs: new Jobs(), history };
  return {
    session: (request) => sessionReply(door.sessions, request),
    build: (request) => sessionBuild(door, request),
    cancel: ({ query }) => door.builds.cancel(query.get("id") ?? ""),
    grpc: () => grpcReply(door),
    http2: (socket) => serveGrpc(door, socket),
    sessionOf: (id, signal) => door.sessions.get(id, signal),
    openContexts: async (values, { sessionId, ...request }) => {
      const contexts = parseContexts(values);
      const session = sessionId === undefined ? undefined : await door.sessions.get(sessionId, request.signal);
      return openContexts(engine, { ...request, contexts, session });
    },
  };
}

/** What all requests share. */
export interface Door {
  readonly engine: BuildKitEngine;
  readonly sessions: Sessions;
  readonly builds: Builds;
  readonly jobs: Jobs;
  readonly history: BuildHistory;
}
