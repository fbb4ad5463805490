export { batched, collect, type Digested, digesting, fromBuffer, fromFile, inPieces } from "./bytes.ts";
export {
  type Compression,
  type CompressOptions,
  compress,
  type DecompressOptions,
  decompress,
  peek,
  sniff,
} from "./compression.ts";
export { fromDescriptor, writePiece } from "./descriptor.ts";
export { DetachFilter, parseDetachKeys } from "./detach.ts";
export { type FramePiece, type FrameStream, frame, frameHeader, readFrameRuns, readFrames } from "./frames.ts";
export type * from "./stream.ts";
export { TarDecoder, type TarSink } from "./tar/decoder.ts";
export { encodeTarHeader, tarEnd, tarPadding } from "./tar/encode.ts";
export { readTar } from "./tar/read.ts";
export { writeTar } from "./tar/write.ts";
export { closeBody, WebSocketDecoder, type WebSocketPiece, webSocketFrame } from "./websocket/frames.ts";
