/** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts first. */
export function after(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return raceAbort(promise, signal).finally(() => clearTimeout(timer));
}

/** Resolves (never rejects) once the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** The promise's outcome, or a rejection with the signal's reason, whichever comes first. The promise itself goes on. */
export function raceAbort<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  const { promise: cancelled, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return Promise.race([promise, cancelled]).finally(() => signal.removeEventListener("abort", abort));
}
