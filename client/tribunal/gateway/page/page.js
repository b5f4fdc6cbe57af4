// Connects the form, the gateway and the view of the verdict.

import { Failure, getJson, key, verdictEvents } from "./gateway.js";
import { snippet } from "./snippets.js";
import * as view from "./verdict_view.js";

const element = (id) => document.getElementById(id);
const [form, text, policySelect, judge, explain] = ["form", "text", "policy", "judge", "explain"].map(element);
const dialog = element("key-dialog");
let policies = [];
let hasJudge = true;
let needsKey = key.get() !== null;
let serverKnown = false;
let policiesLoaded = null;
let running = new AbortController();
// Called when the user has entered a key.
let withKey = () => {};

function policy() {
  return policies.find(({ name }) => name === policySelect.value) ?? null;
}

// The body of `POST /v1/verdicts`, with spans and with the options that differ from the policy.
function request() {
  return {
    text: text.value,
    ...(policySelect.value && { policy: policySelect.value }),
    ...(judge.value && { judge: judge.value }),
    ...(explain.checked !== (policy()?.explain ?? true) && { explain: explain.checked }),
    spans: true,
  };
}

// A new check aborts the running one.
function newCheck() {
  running.abort();
  running = new AbortController();
  return running.signal;
}

async function check() {
  const signal = newCheck();
  await policiesLoaded;
  if (signal.aborted) return;
  const asked = request();
  view.begin(policy(), asked.text);
  try {
    if (asked.text === "") throw new Failure("There is no text", "Type a text, or choose an example.");
    const mayAskJudge = hasJudge && (asked.judge ?? policy()?.judge) !== "never";
    for await (const { name, data } of verdictEvents(asked, signal)) {
      if (signal.aborted) return;
      if (name === "encoders") view.showEncoders(data, mayAskJudge);
      if (name === "reason") view.addReason(data.text);
      if (name === "verdict") view.showVerdict(data);
    }
    if (!serverKnown) await showServer();
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Failure)) throw error;
    if (error.status === 404) await loadPolicies();
    view.showFailure(error);
    if (error.status === 401) askForKey(error.message, check);
  }
}

function load() {
  policiesLoaded = loadPolicies();
  return Promise.all([policiesLoaded, showServer()]);
}

async function loadPolicies() {
  const answer = await known(getJson("v1/policies"));
  if (answer === null) return;
  const chosen = policySelect.value;
  policies = answer.policies;
  policySelect.replaceChildren(...policies.map(({ name }) => new Option(name, name)));
  policySelect.value = policies.some(({ name }) => name === chosen) ? chosen : answer.default;
  showPolicy();
}

async function showServer() {
  const server = await known(getJson("v1/server"));
  if (server === null) return;
  serverKnown = true;
  const weights = Object.entries(server.weights);
  const demo = weights.filter(([, { are_demo }]) => are_demo).map(([name]) => name);
  const some = demo.length < weights.length ? `: ${demo.join(", ")}` : "";
  showBanner(
    demo.length > 0 ? "demo" : "real",
    demo.length > 0 ? `Demonstration weights${some}` : "Real weights",
    `Triton ${server.triton_version}. Weights: ${weights.map(sourceOf).join(", ")}.` +
      (demo.length > 0 ? " Demonstration weights show how it works; do not rely on their verdicts." : ""),
  );
  hasJudge = server.has_judge;
  judge.disabled = explain.disabled = !hasJudge;
  judge.options[0].text = hasJudge ? "as the policy says" : "this server has no judge";
  if (!hasJudge) judge.value = "";
}

// The result of the promise `asked`; on a failure, null and a message in the banner.
async function known(asked) {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    needsKey ||= error.status === 401;
    serverKnown = false;
    showBanner("unknown", error.status === 401 ? "A key is needed" : error.title, error.message);
    showCode();
    return null;
  }
}

function sourceOf([name, { source, revision, precision }]) {
  return `${name} ${source}${revision ? `@${revision.slice(0, 8)}` : ""} (${precision})`;
}

function showBanner(kind, words, details) {
  element("weights").dataset.kind = kind;
  element("weights").textContent = words;
  element("server").textContent = details;
}

function showPolicy() {
  explain.checked = policy()?.explain ?? true;
  view.reset(policy());
  showCode();
}

function askForKey(why, next) {
  withKey = next;
  needsKey = true;
  showCode();
  element("key-why").textContent = why;
  element("key-fault").textContent = "";
  element("key").value = key.get() ?? "";
  if (!dialog.open) dialog.showModal();
  element("key").select();
}

function language() {
  return document.querySelector("input[name=language]:checked").value;
}

function showCode() {
  element("code").textContent = snippet(language(), request(), needsKey);
  element("copy").textContent = `Copy as ${language()}`;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(element("code").textContent);
  } catch {
    // Browsers give the clipboard only to pages on HTTPS or localhost; a selection can be copied by hand.
    getSelection().selectAllChildren(element("code"));
    element("copy").textContent = "Selected: press Ctrl + C";
    element("said").textContent = "The lines are selected: press Ctrl and C.";
    return;
  }
  element("copy").textContent = "Copied";
  element("said").textContent = `Copied as ${language()}.`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  check();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
form.addEventListener("input", showCode);
policySelect.addEventListener("change", () => {
  newCheck();
  showPolicy();
});
element("examples").addEventListener("click", ({ target }) => {
  const example = target.closest("button");
  if (example === null) return;
  text.value = example.textContent;
  showCode();
  form.requestSubmit();
});
element("languages").addEventListener("change", showCode);
element("copy").addEventListener("click", copy);
element("change-key").addEventListener("click", () =>
  askForKey("Leave it empty to forget the key.", () => {}),
);
element("key-cancel").addEventListener("click", () => dialog.close());
dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = element("key").value.trim();
  if (!/^[\x21-\x7e]*$/.test(given)) {
    element("key-fault").textContent = "A key has letters, digits and signs of ASCII only, and no spaces.";
    return;
  }
  key.set(given);
  needsKey = given !== "";
  dialog.close();
  load().then(withKey);
});

view.reset(null);
showCode();
load();
