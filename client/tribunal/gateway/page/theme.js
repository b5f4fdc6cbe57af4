// Runs before the page is painted, so that a chosen theme does not flash.
"use strict";

{
  const KEY = "tribunal.theme";
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

  function isDark() {
    const chosen = localStorage.getItem(KEY);
    return chosen === null ? systemIsDark.matches : chosen === "dark";
  }

  function apply() {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    document.getElementById("dark")?.setAttribute("aria-pressed", String(isDark()));
  }

  apply();
  systemIsDark.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("dark").addEventListener("click", () => {
      const dark = !isDark();
      // Choosing the system's theme follows the system again.
      if (dark === systemIsDark.matches) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, dark ? "dark" : "light");
      apply();
    });
  });
}
