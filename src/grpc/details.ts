import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Code, ConnectError, decodeBinaryHeader, encodeBinaryHeader } from "@connectrpc/connect";
import { rpc } from "../proto/mod.ts";

/** What a program reads of an error beside its words. */
export interface ErrorDetail {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export interface DetailedError {
  readonly message: string;
  readonly code: Code;
  readonly details: readonly ErrorDetail[];
}

/**
 * An error with details of any type. Connect writes only those whose types it knows, with Google's host in front of the type,
 * and lets no metadata have the trailer's name: so they go through Connect under another one. Details of more than 26 KiB are left out.
 */
export function detailedError({ message, code, details }: DetailedError): ConnectError {
  const text = message.toWellFormed(); // which alone can be encoded
  const size = details.reduce((sum, { typeUrl, value }) => sum + typeUrl.length + value.length, 0);
  if (details.length === 0 || size > most.details) return new ConnectError(text, code);
  const status = create(rpc.StatusSchema, { details: [...details] });
  return new ConnectError(text, code, { [aside]: encodeBinaryHeader(toBinary(rpc.StatusSchema, status)) });
}

/** The details of such an error. */
export function errorDetails({ metadata }: ConnectError): ErrorDetail[] {
  return detailsIn(metadata).map(({ typeUrl, value }) => ({ typeUrl, value }));
}

const aside = "berth-status-details-bin";

/** Bytes; the message travels twice, and all of it is a block of headers, which has 64 KiB in Bun: a longer one ends the connection. */
const most = { message: 10 * 1024, details: 26 * 1024 } as const;

/** The trailer as it can be sent: the message is cut where it is too long. */
export function sendable(trailer: Headers): Headers {
  const said = trailer.get("grpc-message");
  if (said === null) return trailer;
  const message = said.length > most.message ? clipped(decodeURIComponent(said)) : decodeURIComponent(said);
  trailer.set("grpc-message", encodeURIComponent(message));
  const details = detailsIn(trailer);
  trailer.delete(aside);
  if (details.length === 0) return trailer;
  const status = create(rpc.StatusSchema, { code: Number(trailer.get("grpc-status")), message, details });
  trailer.set("grpc-status-details-bin", encodeBinaryHeader(toBinary(rpc.StatusSchema, status)));
  return trailer;
}

function detailsIn(headers: Headers): rpc.Any[] {
  try {
    return fromBinary(rpc.StatusSchema, decodeBinaryHeader(headers.get(aside) ?? "")).details;
  } catch {
    return []; // an error of the other side's that passes through, with something else under this name
  }
}

function clipped(message: string): string {
  let [size, end] = [0, 0];
  for (const character of message) {
    size += encodeURIComponent(character).length;
    if (size > most.message) break;
    end += character.length;
  }
  return `${message.slice(0, end)}…`;
}
