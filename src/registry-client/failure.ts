import { EngineError, type ErrorKind, messageOf } from "../errors/mod.ts";
import { hostnameOf } from "./endpoints.ts";

/** A registry's answer that is no success, with the error codes of its body (OCI distribution-spec, "Error Codes"). */
export class RegistryFailure extends EngineError {
  readonly status: number;
  /** First code of the body, such as `MANIFEST_UNKNOWN`; from the status when the body says nothing. */
  readonly code: string;

  constructor(answer: { status: number; code: string; message: string }) {
    super(kindOfStatus(answer.status), answer.message);
    this.status = answer.status;
    this.code = answer.code;
  }
}

const bodyLimit = 64 * 1024;

/** Reads an error answer and says it as docker does: `manifest unknown: manifest unknown`, `denied: requested access …`. */
export async function failureOf(response: Response, what: string): Promise<RegistryFailure> {
  const { status } = response;
  const [first] = parseErrors(await readText(response));
  const code = first?.code ?? codeOfStatus(status);
  if (code === "UNKNOWN") {
    const message = first?.message || `unexpected status from registry: ${status}`;
    return new RegistryFailure({ status, code, message: `${what}: ${message}` });
  }
  const message = first?.message || (texts[code] ?? words(code));
  return new RegistryFailure({ status, code, message: `${words(code)}: ${message}` });
}

/** A connection that failed, in the words that Go's http client has. */
export function unreachable(err: unknown, request: { method: string; url: string }): EngineError {
  const { method, url } = request;
  const { host } = new URL(url);
  const verb = method[0] + method.slice(1).toLowerCase();
  return new EngineError("unavailable", `${verb} "${url}": ${reasonOf(err, host)}`, { cause: err });
}

/** True for failures that another try may not have. */
export function isPassing(err: unknown): boolean {
  if (err instanceof RegistryFailure) return err.status === 429 || err.status >= 500;
  return (
    err instanceof EngineError &&
    err.kind === "unavailable" &&
    !/connection refused|no such host|x509/.test(err.message)
  );
}

function reasonOf(err: unknown, host: string): string {
  const code = err instanceof Error && "code" in err ? String(err.code) : "";
  if (/ConnectionRefused|ECONNREFUSED/.test(code)) return `dial tcp ${host}: connect: connection refused`;
  if (/FailedToOpenSocket|ENOTFOUND|EAI_AGAIN|DNS/.test(code))
    return `dial tcp: lookup ${hostnameOf(host)}: no such host`;
  if (/Timeout|ETIMEDOUT/.test(code)) return `dial tcp ${host}: i/o timeout`;
  if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) return `tls: failed to verify certificate: x509: ${messageOf(err)}`;
  return messageOf(err);
}

function kindOfStatus(status: number): ErrorKind {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not-found";
  if (status === 429 || status >= 500) return "unavailable";
  return status >= 400 ? "invalid" : "internal";
}

function codeOfStatus(status: number): string {
  if (status === 401) return "UNAUTHORIZED";
  if (status === 403) return "DENIED";
  if (status === 429) return "TOOMANYREQUESTS";
  return "UNKNOWN";
}

const texts: Readonly<Record<string, string>> = {
  UNAUTHORIZED: "authentication required",
  DENIED: "requested access to the resource is denied",
};

/** `MANIFEST_UNKNOWN` as `manifest unknown`. */
function words(code: string): string {
  return code.toLowerCase().replaceAll("_", " ");
}

function parseErrors(text: string): { code: string; message: string }[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return [];
  }
  const errors = (json as { errors?: unknown } | null)?.errors;
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((entry: unknown) => {
    const { code, message } = (entry ?? {}) as { code?: unknown; message?: unknown };
    if (typeof code !== "string") return [];
    return [{ code: code.slice(0, 100), message: typeof message === "string" ? message.slice(0, 1000) : "" }];
  });
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > bodyLimit) break;
      chunks.push(chunk);
    }
  } catch {
    return "";
  }
  return Buffer.concat(chunks).toString("utf8");
}
