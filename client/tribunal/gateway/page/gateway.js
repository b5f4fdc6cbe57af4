// Sends requests to the gateway and describes failures in words.

const KEY = "tribunal.key";

const TITLES = {
  400: "The gateway refuses this request",
  401: "The gateway asks for a key",
  404: "The gateway does not have this",
  408: "The request arrived too slowly",
  413: "The text is too long",
  429: "Too many requests",
  502: "The moderation server failed",
  503: "The moderation server is unavailable",
  504: "The moderation server took too long",
};

// A failed request. title: the failure in a few words; message: the details.
export class Failure extends Error {
  constructor(title, message, status = null) {
    super(message);
    this.title = title;
    this.status = status;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

// The JSON at `path`; throws Failure.
export async function getJson(path) {
  return (await ask(path)).json();
}

// The events of one streamed verdict as {name, data}; throws Failure, also for a stream without a verdict.
export async function* verdictEvents(request, signal) {
  const response = await ask("v1/verdicts", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...request, stream: true }),
    signal,
  });
  for await (const event of readEvents(response.body)) {
    if (event.name === "error") throw failureOf(null, event.data.error);
    yield event;
    if (event.name === "verdict") return;
  }
  throw new Failure("The connection ended too early", "The gateway did not send the whole verdict.");
}

async function ask(path, { headers = {}, ...options } = {}) {
  const token = key.get();
  let response;
  try {
    response = await fetch(path, {
      ...options,
      headers: token ? { ...headers, Authorization: `Bearer ${token}` } : headers,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    throw unreachable(error);
  }
  if (response.ok) return response;
  if (response.status === 401) {
    throw new Failure(TITLES[401], token ? "It does not know this key." : "It answers only with one.", 401);
  }
  // A proxy in front of the gateway answers with its own page.
  const body = await response.json().catch(() => ({}));
  throw failureOf(response.status, body.error, response.headers.get("Retry-After"));
}

async function* readEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let received = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      received += value;
      const blocks = received.split("\n\n");
      received = blocks.pop();
      yield* blocks.map(readEvent);
    }
  } catch (error) {
    throw error instanceof Failure ? error : unreachable(error);
  } finally {
    reader.cancel().catch(() => {});
  }
}

function readEvent(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
  return { name: fields.event, data: JSON.parse(fields.data) };
}

function failureOf(status, error, retryAfter = null) {
  const title = TITLES[status] ?? "The gateway gives no verdict";
  const message = error?.message ?? `It answered with HTTP status ${status}.`;
  const isSaid = retryAfter === null || message.includes("try again");
  const pause = isSaid ? "" : ` Try again in ${duration(Number(retryAfter))}.`;
  return new Failure(title, sentence(message) + pause, status);
}

function duration(seconds) {
  return seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} minutes`;
}

function unreachable(error) {
  if (error.name === "AbortError") return error;
  return new Failure("The gateway does not answer", "It has stopped, or the network is down.");
}

function sentence(text) {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
