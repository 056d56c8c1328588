"use strict";
// Names are in the page as text; here are numbers, and teams, which are put into it as text.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const DAY = 86400;
  const NONE = "unknown";
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const short = (value) => {
    if (value === null || value === undefined) return NONE;
    for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))} ${unit}`;
    }
    return String(Number(value.toPrecision(3)));
  };
  const two = (value) => String(value).padStart(2, "0");
  const moment = (seconds) => {
    const at = new Date(seconds * 1000);
    return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  };
  const tick = (_, splits, __, ___, apart) => splits.map((seconds) =>
    (apart >= DAY || seconds % DAY === 0 ? moment(seconds).slice(5, 10) : moment(seconds).slice(11)));
  const grid = (values) => values.map((_, place) => data.start + place * data.step);

  const axes = (height) => {
    const line = { stroke: colour("line"), width: 1 };
    const common = { stroke: colour("dim"), grid: line, ticks: line, font: "11px system-ui, sans-serif" };
    return [
      { ...common, values: tick, space: 64, size: 28 },
      { ...common, values: (_, splits) => splits.map(short), size: 52, space: height > 170 ? 34 : 28 },
    ];
  };
  const options = (node, series, more) => ({
    width: Math.max(200, Math.floor(node.clientWidth)),
    height: 170,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    padding: [8, 18, 0, 0],
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    legend: { live: true },
    scales: { x: { range: (_, low, high) => [low, high] }, y: { range: (_, __, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: axes(170),
    series: [{ label: "UTC", value: (_, seconds) => (seconds === null ? "" : moment(seconds)) }, ...series],
    ...more,
  });
  const told = (_, value, __, index) => (index === null || index === undefined || value === undefined ? "" : short(value));

  // What a breaker held is shaded, what was decided is a mark: upwards a raise, downwards a lowering.
  const marks = (chart) => ({
    drawClear: [(plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      for (const [from, until, state] of chart.held) {
        const left = Math.max(bbox.left, plot.valToPos(Math.max(from, data.from), "x", true));
        const right = plot.valToPos(until, "x", true);
        ctx.fillStyle = state === "watch" || state === "growth" ? colour("band") : colour("held");
        if (right >= bbox.left && left <= bbox.left + bbox.width) {
          ctx.fillRect(left, bbox.top, Math.max(2, Math.min(right, bbox.left + bbox.width) - left), bbox.height);
        }
      }
      ctx.restore();
    }],
    draw: [(plot) => {
      const { ctx, bbox } = plot;
      const size = 5 * uPlot.pxRatio;
      ctx.save();
      const now = chart.limit.at(-1)?.[1] ?? null;
      if (now !== null) {
        const y = plot.valToPos(now, "y", true);
        ctx.strokeStyle = colour("limit");
        ctx.lineWidth = uPlot.pxRatio;
        ctx.setLineDash([2 * uPlot.pxRatio, 5 * uPlot.pxRatio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
      }
      for (const [at, value, outcome] of chart.decided) {
        const x = plot.valToPos(at, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        const y = Math.max(bbox.top + size, Math.min(bbox.top + bbox.height, plot.valToPos(value ?? 0, "y", true)));
        const up = outcome === "raise" ? -1 : 1;
        ctx.fillStyle = colour(outcome === "raise" ? "good" : "bar");
        ctx.beginPath();
        ctx.moveTo(x, y + up * size * 1.2);
        ctx.lineTo(x - size, y - up * size * 0.6);
        ctx.lineTo(x + size, y - up * size * 0.6);
        ctx.closePath();
        ctx.fill();
      }
      ctx.restore();
    }],
  });

  const demand = (node, chart) => {
    const known = chart.limit.filter(([at]) => at <= data.until);
    const limit = [known.map(([at]) => Math.max(at, data.from)), known.map(([, value]) => value)];
    const usage = [grid(chart.usage), chart.usage];
    const whole = known.length ? uPlot.join([usage, limit]) : [...usage, usage[1].map(() => null)];
    return new uPlot(options(node, [
      { label: "peak", stroke: colour("bar"), width: 1.5, value: told, fill: `${colour("bar")}22`, points: { show: false } },
      { label: "limit", stroke: colour("limit"), width: 2, value: told, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
    ], { hooks: marks(chart) }), whole, node);
  };
  const fleet = (node) => new uPlot(options(node, [
    { label: "samples/s, all tenants", stroke: colour("bar"), width: 1.5, value: told, fill: `${colour("bar")}22`, points: { show: false } },
  ]), [grid(data.asked), data.asked], node);
  // Teams stand on one another: the sum of all is drawn first, and the next before it.
  const cost = (node) => {
    const { days, teams, amounts, currency } = data.cost;
    let below = days.map(() => 0);
    const stacked = amounts.map((row) => (below = below.map((sum, place) => sum + (row[place] ?? 0))));
    const order = teams.map((_, place) => teams.length - 1 - place);
    return new uPlot(options(node, order.map((place) => ({
      label: teams[place],
      stroke: colour(`team-${place}`),
      fill: colour(`team-${place}`),
      width: 0,
      points: { show: false },
      paths: uPlot.paths.bars({ size: [0.7, 60], align: 0 }),
      value: (_, __, ___, index) => (index === null || index === undefined ? "" : amounts[place][index] === null ? NONE : `${amounts[place][index]} ${currency}`),
    })), {
      scales: { x: { range: (_, low, high) => [low - DAY / 2, high + DAY / 2] }, y: { range: (_, __, high) => [0, high > 0 ? high * 1.08 : 1] } },
      axes: axes(170).map((axis, place) => (place ? axis : { ...axis, splits: () => every(days), values: (_, splits) => splits.map((at) => moment(at + DAY / 2).slice(5, 10)) })),
    }), [days, ...order.map((place) => stacked[place])], node);
  };
  const every = (days) => days.filter((_, place) => place % Math.ceil(days.length / 14) === 0);

  const drawn = [];
  const draw = () => {
    for (const plot of drawn.splice(0)) plot.destroy();
    for (const node of document.querySelectorAll("[data-plot]")) {
      const [kind, place] = node.dataset.plot.split(" ");
      const plot = kind === "demand" ? demand(node, data.charts[Number(place)]) : kind === "fleet" ? fleet(node) : cost(node);
      drawn.push(plot);
      node.onkeydown = (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!by) return;
        event.preventDefault();
        const last = plot.data[0].length - 1;
        const next = Math.max(0, Math.min(last, (plot.cursor.idx ?? (by > 0 ? -1 : last + 1)) + by));
        plot.setCursor({ left: plot.valToPos(plot.data[0][next], "x"), top: plot.over.clientHeight / 2 });
      };
    }
  };
  const fit = () => {
    for (const plot of drawn) {
      const width = Math.max(200, Math.floor(plot.root.parentNode.clientWidth));
      if (width !== plot.width) plot.setSize({ width, height: plot.height });
    }
  };
  const paper = (on) => {
    root.classList.toggle("paper", on);
    draw();
  };
  draw();
  new ResizeObserver(fit).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", () => paper(true));
  addEventListener("afterprint", () => paper(false));

  // The table of tenants: a heading is a button that sorts by it, and the fields choose the rows.
  const table = document.getElementById("tenants-table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const inOrder = new Map(rows.map((row, place) => [row, place]));
  const valueOf = (row, column) => {
    const said = row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    return said === "" ? null : Number.isNaN(Number(said)) ? said.toLowerCase() : Number(said);
  };
  const sort = (heading, column) => {
    const numbers = heading.classList.contains("number") || heading.dataset.first === "descending";
    const now = heading.getAttribute("aria-sort");
    const down = now === null ? numbers : now === "ascending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    // What is not known is last, whichever way.
    const keyed = rows.map((row) => [valueOf(row, column), row]);
    keyed.sort(([a, first], [b, second]) => {
      if (a === null || b === null) return (a === null) - (b === null) || inOrder.get(first) - inOrder.get(second);
      const by = a < b ? -1 : a > b ? 1 : 0;
      return (down ? -by : by) || inOrder.get(first) - inOrder.get(second);
    });
    body.append(...keyed.map(([, row]) => row));
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.onclick = () => sort(heading, column);
    heading.replaceChildren(button);
  });
  const search = document.getElementById("search");
  const severity = document.getElementById("severity");
  const count = document.getElementById("count");
  const choose = () => {
    const words = search.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = (!severity.value || row.dataset.severity === severity.value) && (!words || row.textContent.toLowerCase().includes(words));
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} tenants`;
  };
  search.oninput = severity.onchange = choose;
  document.getElementById("tools").hidden = false;
  choose();
})();
