/** Syncs of the index with the corpus: starting one, and what one is doing, in words. Other work of the service keeps them waiting. */

import { ask, withJson } from "../requests.js";

/** @typedef {{kind: string, state: string, done: number, total: number, error: string}} SyncJob */

/** The kind of syncs. */
export const SYNC = "sync";

/** What commands have the service do, by their kind. @type {Record<string, string>} */
const OPERATIONS = {
  migrate: "Embedding with another model",
  rollback: "Going back to the model before",
  "drop-old": "Removing the vectors of other models",
  export: "Exporting",
  import: "Importing",
  evaluate: "Measuring",
  "dry-run": "Looking what a sync would change",
};

/**
 * What is under way, and the last sync.
 * @returns {Promise<{active: SyncJob | null, last: SyncJob | undefined}>}
 */
export async function syncNow() {
  const { active, last } = await ask("v1/sync");
  return { active, last: last.find((/** @type {SyncJob} */ job) => job.kind === SYNC) };
}

/** Has no effect while one runs. */
export function startSync() {
  return ask("v1/sync", withJson({}));
}

/** @param {SyncJob} job @returns {string} what it does */
export function nameOf({ kind }) {
  return OPERATIONS[kind] ?? "Indexing";
}

/** @param {SyncJob} job under way */
export function progressOf(job) {
  const isSync = job.kind === SYNC;
  if (job.total === 0) {
    return isSync ? "Looking for images…" : `${nameOf(job)}…`;
  }
  const number = new Intl.NumberFormat("en");
  return `${nameOf(job)}: ${number.format(job.done)} of ${number.format(job.total)} ${isSync ? "files" : "images"}`;
}

/** @param {SyncJob | undefined} job that is over */
export function resultOf(job) {
  return job ? `Last sync: ${job.state}${job.error ? `: ${job.error}` : ""}` : "No sync has run yet.";
}
