import { EngineError } from "../errors/mod.ts";
import type { ConnectRouter, HandlerContext } from "../grpc/mod.ts";
import { gateway } from "../proto/mod.ts";
import { cacheKind } from "../wire/mod.ts";
import type { Door } from "./buildkit.ts";
import { optionOf } from "./cache-options.ts";
import { clientError, grpcErrors } from "./errors.ts";
import { requireDockerfile } from "./frontend.ts";
import { readAttributes } from "./frontend-attributes.ts";
import type { Job } from "./jobs.ts";
import { subrequest } from "./subrequests.ts";

/** What clients may lean on (BuildKit frontend/gateway/pb/caps.go). Of LLB they may lean on nothing. */
const capabilities = ["solve.base", "solve.inlinereturn", "return", "proto.refarray", "frontend.caps"];

/** Of the solver's (BuildKit solver/pb/caps.go) the one that says that images can be attested; without it buildx refuses to ask. */
const solverCapabilities = ["exporter.image.attestations"];

/**
 * moby.buildkit.v1.frontend.LLBBridge for builds that their client steers: buildx asks for a frontend's result, gets a number,
 * and returns that number as what it wants built. Nothing runs before that, so what fails, fails in the build itself; a
 * question about the Dockerfile is answered at once, and nothing is built.
 */
export function gatewayService(door: Door) {
  return (router: ConnectRouter): ConnectRouter =>
    router.service(
      gateway.LLBBridge,
      grpcErrors(
        {
          ping: () => ({
            frontendApiCaps: capabilities.map((id) => ({ id, enabled: true })),
            llbCaps: solverCapabilities.map((id) => ({ id, enabled: true })),
            workers: [door.engine.worker()],
          }),
          solve: async (request: gateway.SolveRequest, context: HandlerContext) =>
            ask(door, { job: await jobOf(door, context), request, signal: context.signal }),
          return: async (request: gateway.ReturnRequest, context: HandlerContext) =>
            choose(await jobOf(door, context), request),
          inputs: () => ({}),
        },
        door.engine.builder,
      ),
    );
}

/** The build is named in the call's metadata (BuildKit solver/llbsolver, `buildid`). */
function jobOf({ jobs }: Door, { requestHeader, signal }: HandlerContext): Promise<Job> {
  return jobs.get(requestHeader.get("buildkit-controlapi-buildid") ?? "", signal);
}

interface Asking {
  readonly job: Job;
  readonly request: gateway.SolveRequest;
  readonly signal: AbortSignal;
}

async function ask({ engine }: Door, { job, request, signal }: Asking) {
  if ((request.definition?.def.length ?? 0) > 0 || Object.keys(request.frontendInputs).length > 0) {
    throw new EngineError("not-implemented", "LLB definitions are not implemented by Berth: it builds Dockerfiles");
  }
  if (request.evaluate)
    throw new EngineError("not-implemented", "evaluating a part of a build is not implemented by Berth");
  for (const option of request.cacheImports) cacheKind("cache-from", optionOf(option)); // the attributes have them again
  const asked = requireDockerfile({ frontend: request.frontend, attributes: request.frontendOpt });
  const { requestid, ...attributes } = asked.attributes;
  if (requestid !== undefined) {
    const metadata = await subrequest(engine, { ...job, ...readAttributes(attributes), requestid, signal });
    job.answered = true;
    return { result: { metadata } };
  }
  const id = String(job.results.push(asked));
  return { result: { result: { case: "ref" as const, value: { id } } } };
}

function choose({ results, chosen }: Job, { result, error }: gateway.ReturnRequest) {
  if (error) chosen.reject(clientError(error));
  const id = result?.result.case === "ref" ? result.result.value.id : "";
  chosen.resolve(results[Number(id) - 1]);
  return {};
}
