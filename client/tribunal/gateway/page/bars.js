// Rows with a name, a bar from 0 to 1, a threshold if it is known, and the score in digits.

const template = document.getElementById("bar");

export class Bars {
  #list;
  #rows = new Map();

  // names: the rows' names in order.
  constructor(list, names) {
    this.#list = list;
    names.forEach((name) => this.#row(name));
  }

  // Clear the scores and show the thresholds by name; null or undefined if one is unknown.
  reset(thresholds) {
    for (const [name, row] of this.#rows) {
      const threshold = thresholds[name] ?? null;
      row.threshold = threshold;
      row.mark.hidden = threshold === null;
      row.mark.style.setProperty("--at", String(threshold ?? 0));
      this.set(name, null, false);
    }
  }

  // Show a score in [0, 1], or null for none.
  set(name, score, isFlagged) {
    const row = this.#row(name);
    const digits = score === null ? "–" : score.toFixed(2);
    const threshold = row.threshold === null ? "" : `, threshold ${row.threshold}`;
    row.item.classList.toggle("flagged", isFlagged);
    row.fill.style.setProperty("--score", String(score ?? 0));
    row.value.textContent = digits;
    row.track.setAttribute("aria-valuenow", String(score ?? 0));
    const spoken = score === null ? "no score" : digits;
    row.track.setAttribute("aria-valuetext", `${spoken}${threshold}${isFlagged ? ", flagged" : ""}`);
  }

  #row(name) {
    if (!this.#rows.has(name)) this.#rows.set(name, this.#newRow(name));
    return this.#rows.get(name);
  }

  #newRow(name) {
    const item = template.content.cloneNode(true).firstElementChild;
    const [track, fill, mark, value] = ["track", "fill", "mark", "value"].map((part) =>
      item.querySelector(`.${part}`),
    );
    item.querySelector(".name").textContent = name;
    track.setAttribute("aria-label", name);
    this.#list.append(item);
    return { item, track, fill, mark, value, threshold: null };
  }
}
