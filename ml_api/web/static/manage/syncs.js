/** Syncs of the index with the corpus: starting one, and what one is doing, in words. Other work of the service keeps them waiting. */

import { ask, withJson } from "../requests.js";

/** @typedef {{kind: string, state: string, done: number, total: number, error: string}} SyncJob */

/** What commands have the service do, by their kind. @type {Record<string, string>} */
const OPERATIONS = {
  migrate: "Embedding with another model",
  rollback: "Going back to the model before",
  "drop-old": "Removing the vectors of other models",
  export: "Exporting",
  import: "Importing",
  evaluate: "Measuring",
};

/**
 * What is under way, and the last sync.
 * @returns {Promise<{active: SyncJob | null, last: SyncJob | undefined}>}
 */
export async function syncNow() {
  const { active, last } = await ask("v1/sync");
  return { active, last: last.find((/** @type {SyncJob} */ job) => job.kind === "sync") };
}

/** Has no effect while one runs. */
export function startSync() {
  return ask("v1/sync", withJson({}));
}

/** @param {SyncJob} job under way */
export function progressOf({ kind, done, total }) {
  const number = new Intl.NumberFormat("en");
  const counted = `${number.format(done)} of ${number.format(total)}`;
  const operation = OPERATIONS[kind];
  if (operation) {
    return total === 0 ? `${operation}…` : `${operation}: ${counted} images`;
  }
  return total === 0 ? "Looking for images…" : `Indexing: ${counted} files`;
}

/** @param {SyncJob | undefined} job that is over */
export function resultOf(job) {
  return job ? `Last sync: ${job.state}${job.error ? `: ${job.error}` : ""}` : "No sync has run yet.";
}
