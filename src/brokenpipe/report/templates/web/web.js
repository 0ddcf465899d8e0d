// Gets the state from the server twice a second, shows it, and sends commands. Texts are only ever set as text.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const forms = JSON.parse(one("#forms").textContent);
  const form = one("#faults form");
  let state = null;

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
    one("#description").textContent = chosen().description;
    enable();
  }

  function formValues() {
    const fault = { name: chosen().name };
    for (const field of chosen().fields) {
      const value = form.elements[`param-${field.key}`].value;
      if (value !== "") fault[field.key] = field.choices ? value : Number(value);
    }
    const arms = [...document.querySelectorAll("input[name=arm]:checked")].map((box) => box.value);
    return { fault, arms };
  }

  function showReply(text, refused) {
    const answer = one("#answer");
    answer.textContent = text;
    answer.className = refused ? "refused" : "taken";
  }

  async function send(command, more = {}) {
    try {
      const response = await fetch("/brokenpipe/commands", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ command, ...more }),
      });
      const reply = response.headers.get("Content-Type").includes("json") ? await response.json() : { refusal: await response.text() };
      const done = { report: "The report is being made." }[command] ?? "It will be done at once.";
      showReply(reply.refusal ?? done, reply.refusal != null);
    } catch (error) {
      showReply("The server of this page does not answer.", true);
    }
  }

  function enable() {
    const running = state?.state === "running";
    const playing = running && state.current.playing;
    const held = running && state.current.held !== "";
    const button = (name) => one(`button[name=${name}]`);
    button("strike").disabled = !running || playing || held || !chosen().momentary;
    button("hold").disabled = !running || playing || held || chosen().momentary;
    button("heal").disabled = !held;
    button("play").disabled = !running || playing || held;
    button("break_off").disabled = !playing;
    button("report").disabled = !running;
  }

  // What is shown already stays as it is: a link that is made anew twice a second cannot be relied on to be clicked.
  const shown = {};
  function isNew(place, data) {
    const text = JSON.stringify(data);
    const changed = shown[place] !== text;
    shown[place] = text;
    return changed;
  }

  function rows(table, entries, cells) {
    if (!isNew(table, entries)) return;
    one(`${table} tbody`).replaceChildren(
      ...entries.map((entry) => {
        const row = element("tr", "", { className: entry.active ? "on" : "" });
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

  function show(latest) {
    state = latest;
    one("#lost").hidden = true;
    const header = one("#state");
    header.dataset.state = latest.state;
    header.querySelector("b").textContent = latest.state;
    const current = latest.state === "running" ? latest.current : {};
    header.querySelector("span").textContent = [current.activity ?? latest.message, current.episode && `episode ${current.episode}`, current.users && `${current.users} users an arm`]
      .filter(Boolean).join(" · ");
    showArms(latest.tables.arms);
    rows("#fault-events", latest.fault_events.length ? latest.fault_events : [], (event) => [
      `${event.at_s.toFixed(1)} s`, event.fault, event.arms.join(", "),
      event.lasted_s == null ? "" : event.active ? `${event.lasted_s.toFixed(1)} s, on` : `${event.lasted_s.toFixed(1)} s`, event.error || event.detected,
    ]);
    rows("#timeline", latest.timeline, (phase) => [phase.name, phase.fault || "none", phase.description]);
    showReports(latest.reports);
    for (const view of Bokeh.documents[0]?.roots() ?? [])
      for (const renderer of view.renderers)
        if (renderer.data_source?.name === "fault_bands") renderer.data_source.data = latest.fault_bands.x0 ? latest.fault_bands : { x0: [], x1: [], label: [] };
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
  for (const command of ["strike", "hold"]) one(`button[name=${command}]`).addEventListener("click", () => {
    const values = formValues();
    if (values.arms.length) send(command, values);
    else showReply("Choose an arm, at least one.", true);
  });
  for (const command of ["heal", "play", "break_off", "report"]) one(`button[name=${command}]`).addEventListener("click", () => send(command));
  fill();
  poll();
})();
