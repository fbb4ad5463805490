import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Code, ConnectError, decodeBinaryHeader, encodeBinaryHeader } from "@connectrpc/connect";
import { gateway } from "../proto/mod.ts";

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
 * and lets no metadata have the trailer's name: so they go through Connect under another one.
 */
export function detailedError({ message, code, details }: DetailedError): ConnectError {
  const text = message.toWellFormed(); // which alone can be encoded
  if (details.length === 0) return new ConnectError(text, code);
  const status = create(gateway.StatusSchema, { details: [...details] });
  return new ConnectError(text, code, { [aside]: encodeBinaryHeader(toBinary(gateway.StatusSchema, status)) });
}

const aside = "berth-status-details-bin";

/** Bytes; the message travels twice, and all of it is a block of headers, which has 64 KiB in Bun: a longer one ends the connection. */
const most = { message: 10 * 1024, details: 26 * 1024 } as const;

/** The trailer as it can be sent: the message is cut where it is too long, and details that are too much are left out. */
export function sendable(trailer: Headers): Headers {
  const said = trailer.get("grpc-message");
  if (said === null) return trailer;
  const message = said.length > most.message ? clipped(decodeURIComponent(said)) : decodeURIComponent(said);
  trailer.set("grpc-message", encodeURIComponent(message));
  const details = detailsOf(trailer);
  trailer.delete(aside);
  if (details.length === 0) return trailer;
  const status = create(gateway.StatusSchema, { code: Number(trailer.get("grpc-status")), message, details });
  trailer.set("grpc-status-details-bin", encodeBinaryHeader(toBinary(gateway.StatusSchema, status)));
  return trailer;
}

function detailsOf(trailer: Headers): gateway.Any[] {
  const { details } = fromBinary(gateway.StatusSchema, decodeBinaryHeader(trailer.get(aside) ?? ""));
  const size = details.reduce((sum, { typeUrl, value }) => sum + typeUrl.length + value.length, 0);
  return size > most.details ? [] : details;
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
