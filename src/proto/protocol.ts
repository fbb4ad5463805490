/** What BuildKit's protocols leave to numbers and names, beside their messages. */

/** fsutil's `PacketType`. */
export const packetType = { stat: 0, request: 1, data: 2, finish: 3, error: 4 } as const;

/** Which of the client's content stores a call is about (BuildKit session/content, `GRPCHeaderID`). */
export const contentStoreHeader = "buildkit-attachable-store-id";

/** Bytes of contents in one message, as containerd's have; Go's clients take 4 MiB. */
export const contentPiece = 1024 * 1024;

/** Of WriteContentRequest. */
export const writeAction = { write: 1, commit: 2 } as const;
