import { type Flow, FlowWriter, type Job } from "../../host/mod.ts";
import { scan } from "./scan.ts";
import { type SpdxSubject, spdxDocument } from "./spdx.ts";

export interface SbomInput {
  /** Where the image's files are; nobody writes to them. */
  readonly root: string;
  readonly subject: SpdxSubject;
}

/** Writes the SPDX document of an image's files as JSON. For `streamJob`. */
export const sbomJob: Job<SbomInput & Flow, void> = {
  name: "builder.sbom",
  run(input, context) {
    const writer = new FlowWriter(input, context);
    const document = spdxDocument(scan(input.root, context), input.subject);
    writer.write(new TextEncoder().encode(JSON.stringify(document)));
    writer.flush();
  },
};
