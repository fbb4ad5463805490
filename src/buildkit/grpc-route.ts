import { serveOver } from "../grpc/mod.ts";
import type { HijackedSocket, Reply } from "../http/mod.ts";
import type { Door } from "./buildkit.ts";
import { controlService } from "./control.ts";
import { gatewayService } from "./gateway.ts";
import { historyContent } from "./history/content.ts";

/** `POST /grpc`: the connection becomes HTTP/2 with the client as its client. */
export function grpcReply(door: Door): Reply {
  return {
    kind: "hijack",
    type: "application/vnd.docker.raw-stream",
    protocol: "h2c",
    run: (socket) => serveGrpc(door, socket),
  };
}

/** Answers the Control API's calls on a connection whose input is HTTP/2, until it is gone. */
export function serveGrpc(door: Door, { input, write, raw, signal }: HijackedSocket): Promise<void> {
  const routes: Parameters<typeof serveOver>[1]["routes"] = (router) => {
    controlService(door)(router);
    gatewayService(door)(router);
    historyContent(door.history)(router);
  };
  return serveOver({ input, write, close: () => void raw.destroy() }, { routes, signal });
}
