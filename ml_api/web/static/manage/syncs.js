/** Syncs of the index with the corpus: starting one, and what one is doing, in words. */

import { ask, withJson } from "../requests.js";

/** @typedef {{state: string, done: number, total: number, error: string}} SyncJob */

/**
 * The one under way, and the one before it.
 * @returns {Promise<{active: SyncJob | null, last: SyncJob | undefined}>}
 */
export async function syncNow() {
  const { active, last } = await ask("v1/sync");
  return { active, last: last[0] };
}

/** Has no effect while one runs. */
export function startSync() {
  return ask("v1/sync", withJson({}));
}

/** @param {SyncJob} job under way */
export function progressOf({ done, total }) {
  const number = new Intl.NumberFormat("en");
  return total === 0 ? "Looking for images…" : `Indexing: ${number.format(done)} of ${number.format(total)} files`;
}

/** @param {SyncJob | undefined} job that is over */
export function resultOf(job) {
  return job ? `Last sync: ${job.state}${job.error ? `: ${job.error}` : ""}` : "No sync has run yet.";
}
