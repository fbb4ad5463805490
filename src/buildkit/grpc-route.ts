import { serveOver } from "../grpc/mod.ts";
import type { Reply } from "../http/mod.ts";
import type { Door } from "./buildkit.ts";
import { controlService } from "./control.ts";
import { gatewayService } from "./gateway.ts";

/** `POST /grpc`: the connection becomes HTTP/2 with the client as its client. */
export function grpcReply(door: Door): Reply {
  const routes: Parameters<typeof serveOver>[1]["routes"] = (router) => {
    controlService(door)(router);
    gatewayService(door)(router);
  };
  return {
    kind: "hijack",
    type: "application/vnd.docker.raw-stream",
    protocol: "h2c",
    run: ({ input, write, raw, signal }) => {
      return serveOver({ input, write, close: () => void raw.destroy() }, { routes, signal });
    },
  };
}
