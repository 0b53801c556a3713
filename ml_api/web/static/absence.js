/** Why nothing was found, and which filter would have to be loosened. */

import { list, stats } from "./api.js";
import { Failure } from "./failures.js";
import { conditionsOf, withoutCondition } from "./filters/conditions.js";

/** @import { Answer } from "./api.js" */
/** @import { Filter, Query } from "./query.js" */

const TRIED = 8; // conditions, each with a request
const UNFILTERED = { words: "Remove all filters", filter: null };

/**
 * @param {Query} query
 * @param {Answer} answer without hits
 * @param {AbortSignal} signal
 */
export async function absence({ filter }, { warnings }, signal) {
  const { images } = await stats();
  if (images === 0) {
    return new Failure("There are no images yet", "Nothing is stored that could be found. Images appear here after a sync.", { final: true });
  }
  if (!filter) {
    return new Failure("Nothing found", "No image comes close to that. Other words may describe it better.", { final: true });
  }
  const ways = await waysOut(filter, signal);
  const advice = ways.length > 0 ? "No image has all that they ask for. Leave one out:" : "Several of them rule out all images.";
  const doubts = (warnings ?? []).map((warning) => `${warning.replace(/^filter: |; GET .*$/g, "")}.`); // the page lists the fields itself
  return new Failure("Nothing passes the filters", [...doubts, advice].join(" "), { final: true, ways: ways.length === 1 && ways[0].filter === null ? ways : [...ways, UNFILTERED] });
}

/**
 * The way out of a search whose filter the server refuses.
 * @param {Failure} failure
 */
export function refused(failure) {
  if (failure.code !== "invalid-query" || !/^filter\b/.test(failure.said)) {
    return failure;
  }
  const { said, requestId } = failure;
  const advice = "Part of the link that led here may be missing. Nothing was searched, as that would have found what the filter was to leave out.";
  return new Failure("The filter cannot be read", advice, { said, requestId, final: true, ways: [UNFILTERED] });
}

/**
 * The filter without one of its conditions, where images are left.
 * @param {Filter | string} filter
 * @param {AbortSignal} signal
 */
async function waysOut(filter, signal) {
  const tried = conditionsOf(filter)
    .slice(0, TRIED)
    .map(async ({ field, words }) => {
      const others = withoutCondition(filter, field);
      const { hits } = await list(others, { limit: 1 }, signal);
      return hits.length > 0 ? [{ words: `Without “${words}”`, filter: others }] : [];
    });
  return (await Promise.all(tried)).flat();
}
