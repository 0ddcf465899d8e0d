// Asks the server twice a second what there is, shows it, and sends what somebody wants. Texts are only ever set as text.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const forms = JSON.parse(one("#forms").textContent);
  const form = one("#faults form");
  let scene = null;

  const chosen = () => forms.find((each) => each.name === form.elements.fault.value);

  function element(tag, text, properties = {}) {
    return Object.assign(document.createElement(tag), { textContent: text ?? "", ...properties });
  }

  function input(field) {
    const name = `param-${field.key}`;
    if (field.choices) {
      const select = element("select", "", { name });
      for (const choice of field.choices) select.append(element("option", choice, { value: choice }));
      select.value = field.default ?? field.choices[0];
      return select;
    }
    const number = element("input", "", { name, type: "number", step: 1 });
    if (field.least != null) number.min = field.least;
    if (field.most != null) number.max = field.most;
    if (field.default != null) number.value = field.default;
    number.placeholder = field.required ? "required" : "–";
    return number;
  }

  function fill() {
    one("#fields").replaceChildren(
      ...chosen().fields.map((field) => {
        const label = element("label", `${field.key.replace(/_ms$/, " (ms)").replaceAll("_", " ")} `);
        label.append(input(field));
        label.title = field.hint;
        label.style.display = "inline-block";
        label.style.marginRight = "12px";
        return label;
      }),
    );
    one("#says").textContent = chosen().says;
    enable();
  }

  function wanted() {
    const fault = { name: chosen().name };
    for (const field of chosen().fields) {
      const value = form.elements[`param-${field.key}`].value;
      if (value !== "") fault[field.key] = field.choices ? value : Number(value);
    }
    const arms = [...document.querySelectorAll("input[name=arm]:checked")].map((box) => box.value);
    return { fault, arms };
  }

  function say(text, refused) {
    const answer = one("#answer");
    answer.textContent = text;
    answer.className = refused ? "refused" : "taken";
  }

  async function ask(what, more = {}) {
    try {
      const response = await fetch("/brokenpipe/ask", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ what, ...more }),
      });
      const said = response.headers.get("Content-Type").includes("json") ? await response.json() : { refusal: await response.text() };
      const done = { report: "The report is being made." }[what] ?? "It will be done at once.";
      say(said.refusal ?? done, said.refusal != null);
    } catch (error) {
      say("The server of this page does not answer.", true);
    }
  }

  function enable() {
    const running = scene?.state === "running";
    const playing = running && scene.now.playing;
    const held = running && scene.now.held !== "";
    const button = (name) => one(`button[name=${name}]`);
    button("strike").disabled = !running || playing || held || !chosen().strikes;
    button("hold").disabled = !running || playing || held || chosen().strikes;
    button("heal").disabled = !held;
    button("play").disabled = !running || playing || held;
    button("break_off").disabled = !playing;
    button("report").disabled = !running;
  }

  // What is shown already stays as it is: a link that is made anew twice a second cannot be relied on to be clicked.
  const shown = {};
  function isNew(place, data) {
    const said = JSON.stringify(data);
    const news = shown[place] !== said;
    shown[place] = said;
    return news;
  }

  function rows(table, entries, cells) {
    if (!isNew(table, entries)) return;
    one(`${table} tbody`).replaceChildren(
      ...entries.map((entry) => {
        const row = element("tr", "", { className: entry.on ? "on" : "" });
        row.append(...cells(entry).map((text) => element("td", text)));
        if (entry.error) row.lastChild.className = "failed";
        return row;
      }),
    );
  }

  function showArms(arms) {
    for (const arm of arms ?? []) {
      for (const cell of document.querySelectorAll(`tr[data-arm="${CSS.escape(arm.arm)}"] td`)) {
        cell.textContent = arm[cell.dataset.key];
        cell.classList.toggle("bad", cell.dataset.key === "rate" && parseFloat(arm.rate) > 0);
      }
    }
  }

  function showReports(reports) {
    if (!isNew("#reports", reports)) return;
    one("#reports").replaceChildren(
      ...reports.map((report, n) => {
        const item = element("li", "");
        const made = report.state === "ready" || report.state === "so far";
        item.append(made ? element("a", report.name, { href: `/brokenpipe/reports/${n}`, target: "_blank" }) : element("span", report.name));
        item.append(element("span", ` ${report.state}`));
        return item;
      }).reverse(),
    );
  }

  function show(now) {
    scene = now;
    one("#lost").hidden = true;
    const state = one("#state");
    state.dataset.state = now.state;
    state.querySelector("b").textContent = now.state;
    const doing = now.state === "running" ? now.now : {};
    state.querySelector("span").textContent = [doing.doing ?? now.said, doing.episode && `episode ${doing.episode}`, doing.users && `${doing.users} users an arm`]
      .filter(Boolean).join(" · ");
    showArms(now.tables.arms);
    rows("#deeds", now.deeds.length ? now.deeds : [], (deed) => [
      `${deed.at_s.toFixed(1)} s`, deed.fault, deed.arms.join(", "),
      deed.lasted_s == null ? "" : deed.on ? `${deed.lasted_s.toFixed(1)} s, on` : `${deed.lasted_s.toFixed(1)} s`, deed.error || deed.seen,
    ]);
    rows("#timeline", now.timeline, (phase) => [phase.name, phase.fault || "none", phase.how]);
    showReports(now.reports);
    for (const view of Bokeh.documents[0]?.roots() ?? [])
      for (const renderer of view.renderers)
        if (renderer.data_source?.name === "shades") renderer.data_source.data = now.shades.x0 ? now.shades : { x0: [], x1: [], what: [] };
    enable();
  }

  async function poll() {
    try {
      const response = await fetch("/brokenpipe/state");
      show(await response.json());
    } catch (error) {
      one("#lost").hidden = false;
    }
    setTimeout(poll, 500);
  }

  for (const each of forms) form.elements.fault.append(element("option", each.name, { value: each.name }));
  form.elements.fault.addEventListener("change", fill);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const what of ["strike", "hold"]) one(`button[name=${what}]`).addEventListener("click", () => {
    const wish = wanted();
    if (wish.arms.length) ask(what, wish);
    else say("Choose an arm, at least one.", true);
  });
  for (const what of ["heal", "play", "break_off", "report"]) one(`button[name=${what}]`).addEventListener("click", () => ask(what));
  fill();
  poll();
})();
