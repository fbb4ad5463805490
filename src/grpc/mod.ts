export { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
export { type Connection, duplexOf } from "./connection.ts";
export { type DetailedError, detailedError, type ErrorDetail, errorDetails } from "./details.ts";
export { type Caller, callOver, serveOver } from "./grpc.ts";
export { metadata } from "./http2.ts";
