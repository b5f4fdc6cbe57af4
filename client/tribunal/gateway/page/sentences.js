// Shows the checked text, and marks, numbers and lists the sentences that cross a threshold.

// Limit of a sentence's characters in the list; the text shows the whole sentence.
const LISTED_CHARACTERS = 80;
// Space above the first mark, which shows the text before it.
const MARGIN_PX = 40;

const element = (id) => document.getElementById(id);
const template = element("sentence");
let characters = [];

// Show `text` without marks.
export function showText(text) {
  // By code points, as spans count them.
  characters = [...text];
  element("marked").replaceChildren(text);
  element("sentences").replaceChildren();
  element("sentences-count").textContent = "Each is also read by itself.";
}

// Mark and list `spans` of a response of `POST /v1/verdicts`. Returns their number in words.
export function markSpans(spans) {
  const shown = [];
  let read = 0;
  spans.forEach((span, index) => {
    shown.push(between(read, span.start), mark(index + 1, span));
    read = span.end;
  });
  element("marked").replaceChildren(...shown, between(read));
  element("sentences").replaceChildren(...spans.map(listed));
  const count = inWords(spans.length);
  element("sentences-count").textContent = count;
  const first = element("marked").querySelector("mark");
  if (first !== null && element("marked").scrollTop === 0) element("marked").scrollTop = first.offsetTop - MARGIN_PX;
  return count;
}

function mark(number, span) {
  const marked = document.createElement("mark");
  const spoken = document.createElement("span");
  const digits = document.createElement("sup");
  marked.title = found(span);
  spoken.className = "spoken";
  spoken.textContent = `Sentence ${number}, ${found(span)}: `;
  digits.textContent = number;
  digits.ariaHidden = "true";
  marked.append(spoken, between(span.start, span.end), digits);
  return marked;
}

function listed(span) {
  const item = template.content.cloneNode(true).firstElementChild;
  const isLong = span.end - span.start > LISTED_CHARACTERS;
  const end = isLong ? span.start + LISTED_CHARACTERS : span.end;
  item.querySelector("q").textContent = between(span.start, end) + (isLong ? "…" : "");
  item.querySelector("span").textContent = found(span);
  return item;
}

function found({ categories, refusal }) {
  const parts = categories.flagged.map((name) => `${name} ${categories.scores[name].toFixed(2)}`);
  if (refusal.detected) parts.push(`a refusal by an LLM ${refusal.score.toFixed(2)}`);
  return parts.join(", ");
}

function between(start, end) {
  return characters.slice(start, end).join("");
}

function inWords(count) {
  if (count === 0) return "No sentence by itself crosses a threshold.";
  return count === 1 ? "1 sentence crosses a threshold." : `${count} sentences cross a threshold.`;
}
