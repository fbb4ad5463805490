export type { Client, ClientRequest, ClientStream, HijackedStream } from "./client.ts";
export { connect } from "./connect.ts";
