/** All of them, to their ends; then the first failure is thrown: an undo must not run beside what it undoes. */
export async function settleAll<T extends readonly unknown[]>(
  promises: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  const results = await Promise.allSettled(promises);
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return results.map((result) => (result as PromiseFulfilledResult<unknown>).value) as unknown as T;
}

/** Runs every step even if some fail, and throws the first failure: for tearing down. */
export async function tearDown(...steps: readonly (() => unknown)[]): Promise<void> {
  await settleAll(steps.map(async (step) => step()));
}
