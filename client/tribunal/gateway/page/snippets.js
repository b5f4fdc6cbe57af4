// Code snippets that request the same verdict.

const KEY_VARIABLE = "TRIBUNAL_KEY";

// request: body of `POST /v1/verdicts`. needsKey: whether the snippet reads a key from the environment.
export function snippet(language, request, needsKey) {
  return { curl, Python: python, openai }[language](request, needsKey);
}

function curl(request, needsKey) {
  return [
    `curl ${shellQuoted(address("v1/verdicts"))}`,
    "-H 'Content-Type: application/json'",
    ...(needsKey ? [`-H "Authorization: Bearer $${KEY_VARIABLE}"`] : []),
    `-d ${shellQuoted(JSON.stringify(request))}`,
  ].join(" \\\n  ");
}

function python(request, needsKey) {
  const headers = `headers={"Authorization": f"Bearer {os.environ['${KEY_VARIABLE}']}"},`;
  return [
    ...(needsKey ? ["import os", ""] : []),
    "import httpx",
    "",
    "answer = httpx.post(",
    `    ${literal(address("v1/verdicts"))},`,
    ...(needsKey ? [`    ${headers}`] : []),
    `    json=${dictionary(request)},`,
    "    timeout=60,",
    ")",
    "answer.raise_for_status()",
    'print(answer.json()["flagged"])',
    "",
  ].join("\n");
}

function openai({ text, policy, ...options }, needsKey) {
  const key = needsKey ? `os.environ["${KEY_VARIABLE}"]` : '"none"';
  return [
    ...(needsKey ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${literal(address("v1"))}, api_key=${key})`,
    "answer = client.moderations.create(",
    `    model=${literal(policy ?? "default")},`,
    `    input=${literal(text)},`,
    `    extra_body=${dictionary(options)},`,
    ")",
    "print(answer.results[0].flagged)",
    "",
  ].join("\n");
}

function address(path) {
  return new URL(path, document.baseURI).href;
}

function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function dictionary(values) {
  const items = Object.entries(values).map(([name, value]) => `${literal(name)}: ${literal(value)}`);
  return `{${items.join(", ")}}`;
}

function literal(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}
