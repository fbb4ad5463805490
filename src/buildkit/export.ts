import { EngineError } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import type { Exporter } from "./exporter.ts";
import { sendDirectory, sendFile } from "./file-send.ts";
import type { Session } from "./session.ts";
import type { BuildKitEngine } from "./solve.ts";

export interface Exporting {
  readonly image: Image;
  readonly exporter: Exporter;
  readonly session: Session | undefined;
  readonly signal: AbortSignal;
}

/** Sends the client what it asked for; an image that is to stay here needs nothing more. */
export async function exportResult(engine: BuildKitEngine, exporting: Exporting): Promise<void> {
  const { image, exporter, session, signal } = exporting;
  if (exporter.kind === "image") return;
  if (!session) throw new EngineError("invalid", "the output goes to the client, but the build names no session");
  switch (exporter.kind) {
    case "archive":
      return sendFile(session, engine.archive(image, exporter.names, signal), signal);
    case "tar":
      return sendFile(session, engine.files(image, signal), signal);
    case "local":
      return sendDirectory(session, engine.files(image, signal), signal);
    default:
      return exporter.kind satisfies never;
  }
}
