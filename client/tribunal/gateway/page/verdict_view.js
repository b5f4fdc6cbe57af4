// Shows one verdict as it arrives. Words of a caller or a judge appear as text, never as markup.

import { Bars } from "./bars.js";
import { CATEGORIES } from "./categories.js";
import { markSpans, showText } from "./sentences.js";

const REFUSAL = "Refusal by an LLM";
const TOXICITY = "Toxicity, by the judge";

const REASONS = {
  toxicity: "toxicity",
  refusal: "a refusal by an LLM",
  judge_failure: "no answer from the judge",
  truncation: "an end that was not read",
};

// The server's pattern of the label at the beginning of the judge's answer.
const LABEL = /^[^\p{L}\p{N}]*(?:(?:classification|label|answer)[^\p{L}\p{N}]*)?(non[\s\-\u2010-\u2015_]*toxic|toxic)(?![\p{L}\p{N}])[\s*_"'`.:;,\-)\]}]*/iu;

const element = (id) => document.getElementById(id);
const result = element("result");
const decision = element("decision");
const scores = new Bars(element("scores"), [REFUSAL, TOXICITY]);
const categories = new Bars(element("categories"), CATEGORIES);
let policy = null;
let answer = "";
let startedMs = 0;

// Clear the verdict and show the thresholds of `shown`, a policy of `GET /v1/policies`, or null.
export function reset(shown) {
  policy = shown;
  answer = "";
  const thresholds = policy?.thresholds;
  categories.reset(thresholds?.categories ?? {});
  scores.reset({ [REFUSAL]: thresholds?.refusal, [TOXICITY]: thresholds?.toxicity });
  document.querySelectorAll("#latencies dd").forEach((part) => (part.textContent = "–"));
  end();
  say("none", "No text was checked yet", "Type a text, or choose an example.");
  showText("");
  showJudge("–", "");
  element("legend").textContent = legend(thresholds);
}

// Show that `text` is being checked under the policy `shown`.
export function begin(shown, text) {
  reset(shown);
  showText(text);
  startedMs = performance.now();
  result.setAttribute("aria-busy", "true");
  say("waiting", "Checking …", "");
  // On a narrow screen the verdict is below the form.
  decision.scrollIntoView({ block: "nearest" });
}

export function showEncoders(verdict, judgeMayAnswer) {
  time("encoders");
  showScores(verdict);
  markSpans(verdict.spans);
  if (!judgeMayAnswer) return;
  const found = verdict.flagged ? `Detected so far: ${listed(verdict.reasons)}.` : "Nothing detected so far.";
  say("waiting", "The judge reads the text …", found);
  showJudge("reads the text …", "");
}

export function addReason(piece) {
  answer += piece;
  const label = answer.match(LABEL);
  if (!label) return;
  const reason = answer.slice(label[0].length);
  showJudge(/^non/i.test(label[1]) ? "non-toxic" : "toxic", reason);
  if (reason && element("latencies").querySelector("[data-part=reason]").textContent === "–") time("reason");
}

export function showVerdict(verdict) {
  time("verdict");
  end();
  showScores(verdict);
  const sentences = markSpans(verdict.spans);
  const { label, explanation } = judgement(verdict);
  showJudge(label, explanation);
  const word = verdict.flagged ? "Flagged" : "Not flagged";
  const found = verdict.reasons.length > 0 ? `Detected: ${listed(verdict.reasons)}.` : "Nothing was detected.";
  const why = [found, ...remarks(verdict)].join(" ");
  say(verdict.flagged ? "flagged" : "passed", word, why);
  element("said").textContent = `${word}. ${why} Judge: ${label}. ${explanation} ${sentences}`;
}

export function showFailure(failure) {
  end();
  const why = `${failure.message} There is no verdict.`;
  say("failed", failure.title, why);
  showJudge("–", "");
  element("said").textContent = `${failure.title}. ${why}`;
}

function end() {
  result.setAttribute("aria-busy", "false");
}

function say(state, word, why) {
  decision.dataset.state = state;
  element("decision-word").textContent = word;
  element("decision-why").textContent = why;
}

function showJudge(label, reason) {
  element("judge-label").textContent = label;
  element("reason").textContent = reason;
}

function showScores(verdict) {
  for (const [name, score] of Object.entries(verdict.categories.scores)) {
    categories.set(name, score, verdict.categories.flagged.includes(name));
  }
  scores.set(REFUSAL, verdict.refusal.score, verdict.reasons.includes("refusal"));
  scores.set(TOXICITY, verdict.toxicity.score, verdict.reasons.includes("toxicity"));
}

function judgement({ toxicity, reasons }) {
  const consequence = reasons.includes("judge_failure")
    ? "The policy flags a text that the judge gives no answer on."
    : "The decision rests on the encoders alone.";
  switch (toxicity.status) {
    case "answered":
      return { label: toxicity.label, explanation: toxicity.reason ?? "No reason was asked for." };
    case "skipped":
      return { label: "not asked", explanation: "" };
    case "unavailable":
      return { label: "unavailable", explanation: `It is down, or took too long. ${consequence}` };
    default:
      return { label: "no label", explanation: `Its answer names no label. ${consequence}` };
  }
}

function remarks(verdict) {
  const said = [];
  if (verdict.refusal.detected && !verdict.reasons.includes("refusal")) {
    said.push("It has a refusal by an LLM, which this policy does not flag.");
  }
  if (verdict.truncated) said.push("It is longer than the encoders read.");
  if (verdict.windows > 1) said.push(`The encoders read it in ${verdict.windows} windows.`);
  return said;
}

function listed(reasons) {
  return reasons.map((reason) => REASONS[reason] ?? reason).join(", ");
}

function legend(thresholds) {
  if (!thresholds) return "";
  const known = Object.values(thresholds.categories).some((threshold) => threshold !== null);
  return known
    ? "A line marks the policy's threshold."
    : "The server decides on categories by its own thresholds, which are not shown.";
}

function time(part) {
  const tookMs = performance.now() - startedMs;
  const shown = tookMs < 1000 ? `${tookMs.toFixed(0)} ms` : `${(tookMs / 1000).toFixed(1)} s`;
  document.querySelector(`#latencies [data-part=${part}]`).textContent = shown;
}
