"use strict";
// What works without this script, works without it: here are the theme, confirmations, progress, the live charts, and the list of keys that follows changes.
(() => {
  const root = document.documentElement;
  const themes = ["system", "light", "dark"];
  const remembered = () => {
    try { return localStorage.getItem("kvstore-theme"); } catch { return null; }
  };
  const apply = theme => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  // In the head, before anything is drawn.
  apply(remembered());

  const byId = id => document.getElementById(id);
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  function startTheme() {
    const button = byId("theme");
    let theme = themes.includes(remembered()) ? remembered() : "system";
    const show = () => { button.textContent = `Theme: ${theme}`; };
    button.hidden = false;
    button.addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      apply(theme);
      try { localStorage.setItem("kvstore-theme", theme); } catch { /* It lasts as long as the page. */ }
      show();
    });
    show();
  }

  // A disclosure with a form in it becomes a dialog.
  function startConfirmations() {
    for (const details of document.querySelectorAll("details.confirm")) {
      const form = details.querySelector("form");
      const opener = element("button", details.querySelector("summary").textContent, details.querySelector("summary").className.replace("button", "").trim());
      opener.type = "button";
      const dialog = element("dialog");
      const heading = element("h2", form.querySelector("button").textContent + "?");
      heading.id = "confirm-heading";
      dialog.setAttribute("aria-labelledby", heading.id);
      const cancel = element("button", "Cancel", "plain");
      cancel.type = "button";
      cancel.autofocus = true;
      cancel.addEventListener("click", () => dialog.close());
      const actions = element("div", "", "actions");
      actions.append(cancel, form.querySelector("button"));
      form.append(actions);
      dialog.append(heading, form);
      opener.addEventListener("click", () => dialog.showModal());
      details.replaceWith(opener, dialog);
    }
  }

  const bytesText = bytes => {
    const units = ["bytes", "KiB", "MiB", "GiB"];
    let unit = 0;
    for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
    return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
  };

  function startImport() {
    const form = byId("import");
    if (!form) return;
    const area = byId("import-progress"), bar = area.querySelector("progress"), state = byId("import-state");
    const cancel = byId("import-cancel"), button = form.querySelector("button:not([type])");
    form.addEventListener("submit", event => {
      event.preventDefault();
      const request = new XMLHttpRequest();
      const end = text => {
        button.disabled = false;
        cancel.hidden = true;
        state.textContent = text;
      };
      request.open("POST", form.action);
      request.responseType = "document";
      request.upload.addEventListener("progress", ({ loaded, total, lengthComputable }) => {
        if (!lengthComputable) return;
        bar.value = loaded / total * 100;
        state.textContent = loaded < total ? `${bytesText(loaded)} of ${bytesText(total)}` : "All is sent; the entries are being put.";
      });
      request.addEventListener("load", () => {
        const outcome = request.response?.querySelector("#outcome") ?? request.response?.querySelector("[role=alert]");
        const shown = byId("outcome");
        shown.replaceChildren(...(outcome ? (outcome.id === "outcome" ? [...outcome.childNodes] : [outcome]) : [failure(`The server answered ${request.status}.`)]));
        bar.value = 100;
        end(request.status === 200 ? "Done." : "Ended.");
        shown.scrollIntoView({ block: "nearest" });
      });
      request.addEventListener("error", () => {
        byId("outcome").replaceChildren(failure("The upload broke off. What stood before the break may have been put."));
        end("Ended.");
      });
      request.addEventListener("abort", () => end("Cancelled. What had been put by then stays."));
      cancel.onclick = () => request.abort();
      button.disabled = true;
      cancel.hidden = area.hidden = false;
      bar.value = 0;
      state.textContent = "Sending…";
      byId("outcome").replaceChildren();
      request.send(new FormData(form));
    });
  }

  const failure = text => {
    const note = element("p", text, "note bad");
    note.setAttribute("role", "alert");
    return note;
  };

  // Counts the entries of a bulk file as its bytes go by: an entry ends where the depth falls back to that of the array.
  function entryCounter() {
    let depth = 0, inText = false, isEscaped = false, count = 0;
    return bytes => {
      for (const b of bytes) {
        if (inText) {
          if (isEscaped) isEscaped = false;
          else if (b === 92) isEscaped = true;
          else if (b === 34) inText = false;
        } else if (b === 34) inText = true;
        else if (b === 123 || b === 91) depth++;
        else if ((b === 125 || b === 93) && --depth === 1 && b === 125) count++;
      }
      return count;
    };
  }

  function startExport() {
    const form = byId("export");
    if (!form || !window.ReadableStream) return;
    const area = byId("export-progress"), bar = area.querySelector("progress"), state = byId("export-state");
    const cancel = byId("export-cancel"), button = form.querySelector("button:not([type])");
    form.addEventListener("submit", async event => {
      event.preventDefault();
      const prefix = form.elements.prefix.value;
      const expected = prefix ? 0 : Number(form.dataset.count);
      const stop = new AbortController();
      cancel.onclick = () => stop.abort();
      button.disabled = true;
      cancel.hidden = area.hidden = false;
      bar.removeAttribute("value");
      state.textContent = "Waiting…";
      try {
        const response = await fetch(`${form.action}?prefix=${encodeURIComponent(prefix)}`, { signal: stop.signal });
        if (!response.ok) throw new Error(`The server answered ${response.status}.`);
        const count = entryCounter(), parts = [];
        const reader = response.body.getReader();
        let entries = 0, bytes = 0;
        for (let next; !(next = await reader.read()).done;) {
          parts.push(next.value);
          bytes += next.value.length;
          entries = count(next.value);
          if (expected > 0) {
            bar.max = Math.max(expected, entries);
            bar.value = entries;
          }
          state.textContent = `${entries.toLocaleString("en")} entries, ${bytesText(bytes)}`;
        }
        bar.value = bar.max = 1;
        const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1] ?? "namespace.json";
        const link = element("a");
        link.href = URL.createObjectURL(new Blob(parts, { type: "application/octet-stream" }));
        link.download = name;
        document.body.append(link);
        link.click();
        link.remove();
        setTimeout(() => URL.revokeObjectURL(link.href), 60000);
        state.textContent = `Done: ${entries.toLocaleString("en")} entries, ${bytesText(bytes)}.`;
      } catch (error) {
        bar.value = 0;
        state.textContent = stop.signal.aborted ? "Cancelled." : `It broke off. ${error.message}`;
      } finally {
        button.disabled = false;
        cancel.hidden = true;
      }
    });
  }

  const svg = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const numberText = n => n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : n >= 1e4 ? `${(n / 1e3).toFixed(1)} k` : n >= 100 || Number.isInteger(n) ? Math.round(n).toString() : n.toFixed(1);
  const timeText = s => s == null ? "–" : s < 1e-6 ? `${Math.round(s * 1e9)} ns` : s < 1e-3 ? `${(s * 1e6).toFixed(1)} µs` : s < 1 ? `${(s * 1e3).toFixed(1)} ms` : `${s.toFixed(2)} s`;
  const percentText = r => r == null ? "–" : `${(r * 100).toFixed(1)} %`;
  // The next round number, so that a chart's scale does not twitch with every sample.
  const roundUp = n => {
    if (!(n > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 5, 10].find(step => step * power >= n * .999) * power;
  };

  function startLive() {
    const live = byId("live");
    if (!live || !window.EventSource) return;
    const shown = 120, width = 600, height = 160;
    const samples = [];
    const state = byId("live-state"), summary = byId("live-summary"), body = byId("live-table").tBodies[0], pause = byId("live-pause");
    const charts = {
      reads: { lines: [s => s.reads], text: numberText },
      writes: { lines: [s => s.writes], text: numberText },
      hits: { lines: [s => s.ratio], text: percentText, max: 1 },
      latency: { lines: [s => s.p50, s => s.p90, s => s.p99], text: timeText, names: ["p50", "p90", "p99"] },
      pending: { lines: [s => s.pending], text: numberText },
    };
    for (const figure of live.querySelectorAll("[data-chart]")) {
      const scale = element("div", "", "chart-scale");
      scale.append(element("span"), element("span", "now"));
      figure.append(scale);
      charts[figure.dataset.chart].figure = figure;
    }

    function draw(chart) {
      if (!chart.figure) return;
      const drawing = chart.figure.querySelector("svg");
      const top = chart.max ?? roundUp(Math.max(0, ...samples.flatMap(s => chart.lines.map(line => line(s) ?? 0))));
      const parts = [.25, .5, .75, 1].map(y => svg("line", { class: "grid", x1: 0, x2: width, y1: height * y - (y === 1 ? .5 : 0), y2: height * y - (y === 1 ? .5 : 0) }));
      chart.lines.forEach((line, index) => {
        // A gap where nothing was measured.
        let runs = [], run = null;
        samples.forEach((sample, i) => {
          const value = line(sample);
          if (value == null) { run = null; return; }
          if (!run) runs.push(run = []);
          run.push([width - (samples.length - 1 - i) * width / (shown - 1), height - Math.min(1, value / top) * (height - 4)]);
        });
        for (const points of runs) {
          const path = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
          if (chart.lines.length === 1) parts.push(svg("path", { class: "area", d: `${path}L${points.at(-1)[0].toFixed(1)} ${height}L${points[0][0].toFixed(1)} ${height}Z` }));
          parts.push(svg("path", { class: `line ${chart.lines.length > 1 ? `l${index + 1}` : ""}`, d: points.length === 1 ? `${path}h1` : path }));
        }
      });
      drawing.replaceChildren(...parts);
      const last = samples.at(-1), value = chart.figure.querySelector(".chart-value");
      value.replaceChildren(...(chart.names
        ? chart.names.flatMap((name, i) => [element("i", "", `l${i + 1}`), `${name} ${chart.text(chart.lines[i](last))}  `])
        : [chart.text(chart.lines[0](last))]));
      chart.figure.querySelector(".chart-scale span").textContent = `2 min ago; the top is ${chart.text(top)}`;
    }

    let announced = 0, taken = 0, isPaused = false;
    function take(sample) {
      const { seconds, hits, misses } = sample;
      samples.push({
        at: new Date(sample.at), reads: sample.reads / seconds, writes: sample.writes / seconds, lists: sample.lists / seconds,
        ratio: hits + misses > 0 ? hits / (hits + misses) : null, p50: sample.p50, p90: sample.p90, p99: sample.p99, pending: sample.pending,
      });
      if (samples.length > shown) samples.shift();
      live.dataset.samples = ++taken;
      if (isPaused) return;
      Object.values(charts).forEach(draw);
      const s = samples.at(-1);
      const row = element("tr");
      for (const text of [s.at.toLocaleTimeString(), numberText(s.reads), numberText(s.writes), numberText(s.lists), percentText(s.ratio), timeText(s.p50), timeText(s.p90), timeText(s.p99), s.pending == null ? "–" : numberText(s.pending)])
        row.append(element("td", text, row.children.length ? "num" : ""));
      body.prepend(row);
      if (body.rows.length > 30) body.lastChild.remove();
      // For who listens: now and then, not each second.
      if (sample.at - announced >= 20000) {
        announced = sample.at;
        summary.textContent = `${numberText(s.reads)} reads and ${numberText(s.writes)} writes a second, hit ratio ${percentText(s.ratio)}, half of the reads within ${timeText(s.p50)}.`;
      }
    }

    live.hidden = pause.hidden = false;
    const stream = new EventSource(live.dataset.stream);
    stream.addEventListener("open", () => { state.textContent = "A sample each second."; });
    stream.addEventListener("message", event => take(JSON.parse(event.data)));
    stream.addEventListener("error", () => { state.textContent = stream.readyState === 2 ? "The stream was refused: too many live pages are open, or you are signed out. Reload the page to try again." : "The connection is lost; trying again…"; });
    addEventListener("pagehide", () => stream.close());
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.textContent = isPaused ? "Go on" : "Pause";
      state.textContent = isPaused ? "Paused." : "A sample each second.";
    });
  }

  // Follows the changes of the keys that are shown. Rows that stay as they are stay in the page, with the focus and the selection in them;
  // the browser keeps its place when rows come before it. The stream is open only while the page is visible, because a browser has few
  // connections for all pages of a site.
  function startKeys() {
    const list = byId("keys"), state = byId("keys-state");
    if (!list?.dataset.stream || !window.EventSource) return;
    let stream = null, isLoading = false, isStale = false, refreshed = 0;

    const keyOf = row => row.querySelector("a.key")?.getAttribute("href");
    function takeRows(before, after) {
      const rows = new Map([...before.rows].map(row => [keyOf(row), row]));
      const focused = keyOf(document.activeElement?.closest("#keys tr") ?? before);
      let place = before.firstElementChild;
      for (const row of [...after.rows]) {
        let shown = rows.get(keyOf(row));
        rows.delete(keyOf(row));
        if (shown && !shown.isEqualNode(row)) {
          if (place === shown) place = row;
          shown.replaceWith(row);
          shown = row;
        }
        if (shown && shown === place) place = place.nextElementSibling;
        else before.insertBefore(shown ?? row, place);
      }
      for (const row of rows.values()) row.remove();
      if (focused && !list.contains(document.activeElement)) [...before.rows].find(row => keyOf(row) === focused)?.querySelector("a").focus();
    }

    function take(page) {
      const next = page.getElementById("keys");
      if (!next) { stop("You are signed out. Reload the page to go on."); return; }
      const before = list.querySelector("table.keys tbody"), after = next.querySelector("table.keys tbody");
      if (before && after) {
        takeRows(before, after);
        const [pager, newPager] = [list, next].map(part => part.querySelector(".pager"));
        if (pager && newPager && !pager.isEqualNode(newPager)) pager.replaceWith(newPager);
        else if (pager && !newPager) pager.remove();
        else if (!pager && newPager) list.append(newPager);
      } else if (!list.isEqualNode(next)) list.replaceChildren(...next.childNodes);
      const facts = document.querySelector(".facts"), newFacts = page.querySelector(".facts");
      if (facts && newFacts && !facts.isEqualNode(newFacts)) facts.replaceWith(newFacts);
      list.dataset.refreshed = ++refreshed;
    }

    // One at a time, and once more when something has changed meanwhile.
    async function refresh() {
      isStale = true;
      if (isLoading) return;
      isLoading = true;
      try {
        while (isStale && stream) {
          isStale = false;
          const response = await fetch(location.href, { headers: { Accept: "text/html" } });
          if (!response.ok) throw new Error(`${response.status}`);
          const text = await response.text();
          if (stream) take(new DOMParser().parseFromString(text, "text/html"));
        }
      } catch {
        state.textContent = "The list could not be loaded again; trying with the next change.";
      } finally {
        isLoading = false;
      }
    }

    function stop(text) {
      stream?.close();
      stream = null;
      if (text) state.textContent = text;
    }

    function start() {
      if (stream || document.hidden) return;
      stream = new EventSource(list.dataset.stream);
      // What has changed before is shown too: since the page was made, or while the connection was lost.
      stream.addEventListener("open", () => { state.textContent = "The list follows changes."; refresh(); });
      stream.addEventListener("message", refresh);
      stream.addEventListener("error", () => { state.textContent = stream?.readyState === 2 ? "The list does not follow changes: too many pages do, or you are signed out." : "The connection is lost; trying again…"; });
    }

    state.hidden = false;
    state.textContent = "Connecting…";
    document.addEventListener("visibilitychange", () => document.hidden ? stop() : start());
    addEventListener("pagehide", () => stop());
    addEventListener("pageshow", start);
    start();
  }

  // The field that was refused, first.
  function startRefused() {
    document.querySelector("[aria-invalid=true]:is(input, textarea), fieldset[aria-invalid=true] input:checked")?.focus();
  }

  addEventListener("DOMContentLoaded", () => {
    for (const start of [startTheme, startConfirmations, startImport, startExport, startLive, startKeys, startRefused]) start();
  });
})();
