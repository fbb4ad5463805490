/** BuildKit's protocols as messages and services. The .proto files are the source; `./dev proto` writes the rest. */
export * as content from "./content_pb.ts";
export * as control from "./control_pb.ts";
export * as filesync from "./filesync_pb.ts";
export * as fsutil from "./fsutil_pb.ts";
export * as gateway from "./gateway_pb.ts";
export { headerOf, shownPath, statOf } from "./go-stat.ts";
export { contentPiece, contentStoreHeader, packetType, writeAction } from "./protocol.ts";
export * as secrets from "./secrets_pb.ts";
export * as ssh from "./ssh_pb.ts";
export * as rpc from "./status_pb.ts";
export { timestampOf } from "./timestamp.ts";
export * as upload from "./upload_pb.ts";
