// Charts: draws the document, follows the colour scheme, hides an arm or a run in every chart at once. On one shared
// axis of time it also names the phases as far as there is room, and zooms all charts together.
"use strict";
(() => {
  const source = document.getElementById("drawn");
  if (!source) return;
  const drawn = JSON.parse(source.textContent);
  const section = document.getElementById("timelines");
  const strip = document.getElementById("phase-names");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const printing = matchMedia("print");
  const coarse = matchMedia("(pointer: coarse)");
  const measure = document.createElement("canvas").getContext("2d");
  const stripLeft = 52, stripRight = 10;

  const model = (id) => Bokeh.documents[0].get_model_by_id(id);
  const each = (ids, change) => ids.forEach((id) => change(model(id)));

  function paint() {
    if (printing.matches) return; // on paper the page inverts what was drawn dark
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(name).trim();
    const { roles } = drawn;
    roles.lines.forEach(([id, arm]) => {
      model(id).glyph.line_color = colour(`--arm-${arm % 8}`);
    });
    roles.fills.forEach(([id, index]) => {
      model(id).glyph.fill_color = colour(`--arm-${index % 8}`);
    });
    each(roles.axes, (axis) => axis.setv({
      major_label_text_color: colour("--muted"), axis_line_color: colour("--rule"),
      major_tick_line_color: colour("--rule"),
    }));
    each(roles.grids, (grid) => { grid.grid_line_color = colour("--grid"); });
    each(roles.bands, (band) => band.setv({ fill_color: colour("--band"), fill_alpha: 1 }));
    each(roles.bursts, (burst) => burst.setv({ fill_color: colour("--burst"), fill_alpha: 1 }));
    each(roles.strikes, (strike) => strike.setv({ line_color: colour("--strike"), line_alpha: 1 }));
    each(roles.zooms, (zoom) => zoom.overlay.setv({ fill_color: colour("--accent"), line_color: colour("--accent") }));
    each(roles.spans, (span) => { span.line_color = colour("--text"); });
    each(roles.marks, (mark) => mark.setv({
      text_color: colour("--text"), background_fill_color: colour("--page"), background_fill_alpha: 0.85,
    }));
    roles.labels.forEach((label) => { model(label.id).text_color = colour("--text"); });
    document.documentElement.dataset.drawn = dark.matches ? "dark" : "light";
  }

  function name() { // the longest name of a phase that fits its band
    const range = model(drawn.range);
    const perSecond = (strip.clientWidth - stripLeft - stripRight) / (range.end - range.start);
    measure.font = "12px system-ui, sans-serif";
    drawn.roles.labels.forEach((label) => {
      const from = Math.max(label.ends[0], range.start);
      const to = Math.min(label.ends[1], range.end);
      const room = (to - from) * perSecond - 4;
      const text = label.texts.find((one) => measure.measureText(one).width <= room);
      model(label.id).setv({ text: text ?? "", x: (from + to) / 2 });
    });
  }

  function wireLegend() {
    const buttons = [...section.querySelectorAll("button[data-arm], button[data-run]")];
    const off = (kind, value, group) => buttons.some((button) =>
      button.dataset[kind] === String(value) && button.getAttribute("aria-pressed") === "false"
      && (group === undefined || button.dataset.group === String(group)));
    const show = () => drawn.roles.lines.forEach(([id, arm, run, group]) => {
      model(id).visible = !off("arm", arm, group) && !off("run", run, group);
    });
    buttons.forEach((button) => button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") === "false"));
      show();
    }));
    show(); // some may be hidden from the start
  }

  function wireZoom() {
    section.querySelectorAll("button[data-stretches]").forEach((button) => {
      const stretches = JSON.parse(button.dataset.stretches); // of a phase: each click shows the next
      let next = 0;
      button.addEventListener("click", () => {
        const [from, to] = stretches[next++ % stretches.length];
        const margin = (to - from) * 0.04;
        const [first, last] = drawn.whole;
        model(drawn.range).setv({ start: Math.max(first, from - margin), end: Math.min(last, to + margin) });
      });
    });
  }

  async function start() {
    const docs = { report: drawn.document };
    await Bokeh.embed.embed_items(docs, [
      { docid: "report", roots: drawn.roots, root_ids: Object.keys(drawn.roots) },
    ]);
    paint();
    wireLegend();
    dark.addEventListener("change", paint);
    if (strip) {
      name();
      wireZoom();
      const range = model(drawn.range);
      range.properties.start.change.connect(name);
      range.properties.end.change.connect(name);
      new ResizeObserver(name).observe(strip);
    } else { // a double click shows all of every axis again
      section.addEventListener("dblclick", () => {
        Bokeh.documents[0].roots().forEach((plot) => plot.x_range.reset());
      });
    }
    if (coarse.matches) { // a finger scrolls the page; buttons zoom
      each(drawn.roles.zooms, (zoom) => { zoom.active = false; });
    }
    section.classList.add("live");
    document.documentElement.dataset.ready = "true";
  }

  start();

  addEventListener("beforeprint", () => { // paper is narrower than most windows
    const width = section.querySelector(".chart").clientWidth;
    const style = document.documentElement.style;
    style.setProperty("--print-width", `${width}px`);
    style.setProperty("--print-zoom", Math.min(1, 690 / width));
    document.documentElement.dataset.printed = width;
  });
})();
