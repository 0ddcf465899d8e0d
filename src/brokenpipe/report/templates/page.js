// Copy buttons, and everything open on paper.
"use strict";
(() => {
  async function copy(text, source) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { // from disk some browsers refuse: select it and ask the old way
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  }
  document.querySelectorAll("button[data-copy]").forEach((button) => {
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      button.textContent = (await copy(source.textContent, source)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = label; }, 1600);
    });
  });
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
})();
