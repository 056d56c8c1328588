"use strict";
// Everything that is shown comes from the API as text and is put into the page as text.
(() => {
  const EVERY_MS = 15000;
  const ROWS = 50;
  const $ = (id) => document.getElementById(id);
  const state = { view: "", timer: 0, search: "", offset: 0, seen: 0 };

  const make = (tag, props = {}, ...inside) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(props)) {
      if (name === "onclick" || name === "oninput" || name === "onchange") node[name] = value;
      else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
    }
    node.append(...inside.filter((each) => each !== null && each !== undefined));
    return node;
  };
  const figure = (value) => {
    if (value === null || value === undefined) return "unknown";
    const number = Number(value);
    if (!Number.isFinite(number)) return String(value);
    return number.toLocaleString("en", { maximumFractionDigits: Math.abs(number) >= 100 ? 0 : 2 });
  };
  const money = (value) =>
    value === null ? "unknown" : Number(value).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const share = (value) => (value === null ? "unknown" : value > 0 && value < 0.01 ? "< 1 %" : `${(value * 100).toFixed(0)} %`);
  const moment = (text) => (text ? text.slice(0, 19).replace("T", " ") : "never");
  const since = (text) => {
    if (!text) return "never";
    const seconds = Math.max(0, (Date.now() - Date.parse(text)) / 1000);
    if (seconds < 90) return `${Math.round(seconds)} s ago`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
    if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
    return `${Math.round(seconds / 86400)} days ago`;
  };

  const token = () => sessionStorage.getItem("mlo-token") || "";
  const ask = async (path, order) => {
    const headers = token() ? { Authorization: `Bearer ${token()}` } : {};
    const init = { headers, cache: "no-store" };
    if (order !== undefined) {
      init.method = "POST";
      init.body = JSON.stringify(order);
      headers["Content-Type"] = "application/json";
    }
    const answer = await fetch(`api/v1/${path}`, init);
    const told = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(told.error || answer.statusText), { code: answer.status });
    return told;
  };

  const table = (columns, rows, nothing) => {
    if (!rows.length) return make("p", { class: "dim" }, nothing);
    const head = make("tr", {}, ...columns.map((each) => make("th", { scope: "col", class: each.number && "number" }, each.heading)));
    const body = rows.map((row) =>
      make("tr", { class: row._class }, ...columns.map((each) => {
        const value = each.cell(row);
        return make("td", { class: each.actions ? "actions" : each.number ? "number" : each.short && "short", "data-label": each.heading },
          value instanceof Node ? value : make("span", { class: each.look && each.look(row) }, String(value)));
      })));
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  };
  const cards = (pairs) =>
    make("dl", { class: "cards" }, ...pairs.map(([name, value, look]) =>
      make("div", {}, make("dt", {}, name), make("dd", { class: look }, String(value)))));
  const bar = (percent) => {
    if (percent === null) return make("span", { class: "dim" }, "unknown");
    const look = percent >= 100 ? "bad" : percent >= 80 ? "warn" : "";
    const inside = make("span", { class: look });
    inside.style.width = `${Math.min(100, percent)}%`;
    return make("span", {}, `${percent.toFixed(0)} %`, make("span", { class: "used", role: "img", "aria-label": `${percent.toFixed(0)} percent used` }, inside));
  };
  const button = (words, what, more = {}) => make("button", { type: "button", onclick: what, ...more }, words);
  const link = (words, to) => make("a", { href: `#${to}` }, words);
  const toTenant = (name) => link(name, `tenant/${encodeURIComponent(name)}`);

  // An order: what it is called, the fields that a person fills in, where it goes.
  const order = (title, path, fixed, fields) => {
    const dialog = $("dialog");
    $("dialog-title").textContent = title;
    $("dialog-problem").textContent = "";
    const inputs = fields.map((field) => make("input", { name: field.name, type: field.type || "text", required: field.optional ? false : "required", step: field.type === "number" ? "any" : undefined, value: field.value, autocomplete: "off", placeholder: field.hint }));
    $("dialog-fields").replaceChildren(...fields.map((field, at) => make("label", {}, field.label, inputs[at])));
    $("dialog-form").onsubmit = async (event) => {
      event.preventDefault();
      const said = { ...fixed };
      fields.forEach((field, at) => {
        const text = inputs[at].value.trim();
        if (text) said[field.name] = field.type === "number" ? Number(text) : field.of ? field.of(text) : text;
      });
      $("dialog-ok").disabled = true;
      try {
        if (path) await ask(path, said);
        else sessionStorage.setItem("mlo-token", said.token || "");
        dialog.close();
        await show();
      } catch (problem) {
        $("dialog-problem").textContent = problem.message;
      } finally {
        $("dialog-ok").disabled = false;
      }
    };
    $("dialog-cancel").onclick = () => dialog.close();
    dialog.showModal();
  };
  const REASON = { name: "reason", label: "Why (it stands in the audit log)" };
  const BY = { name: "by", label: "Who (else: an operator, over HTTP)", optional: true };
  const UNTIL = { name: "until", label: "Until, in hours from now (else: until it is taken back)", optional: true, of: (text) => new Date(Date.now() + Number(text) * 3600000).toISOString(), hint: "24" };
  const askToken = () => order("Token of a viewer or an operator", null, {}, [{ name: "token", label: "It is kept in this tab until it is closed", type: "password", optional: true }]);

  const search = (placeholder) => {
    const input = make("input", { type: "search", "aria-label": placeholder, placeholder, value: state.search, oninput: () => {
      state.search = input.value; state.offset = 0;
      clearTimeout(state.typing);
      state.typing = setTimeout(() => show(true), 250);
    } });
    return input;
  };
  const pages = (total) => total <= ROWS ? null : make("div", { class: "tools" },
    button("Previous", () => { state.offset = Math.max(0, state.offset - ROWS); show(); }, { disabled: state.offset === 0 && "disabled" }),
    make("span", { class: "dim" }, `${state.offset + 1} to ${Math.min(total, state.offset + ROWS)} of ${total.toLocaleString("en")}`),
    button("Next", () => { state.offset += ROWS; show(); }, { disabled: state.offset + ROWS >= total && "disabled" }));
  const paged = () => `limit=${ROWS}&offset=${state.offset}${state.search ? `&tenant=${encodeURIComponent(state.search)}` : ""}`;

  const VIEWS = {
    fleet: { title: "Fleet", show: async () => {
      const [status, found] = await Promise.all([ask("status"), ask(`tenants?${paged()}`)]);
      const broken = Object.entries(status.components).filter(([, each]) => !each.works);
      const level = status.emergency && status.emergency.level && status.emergency.level !== "none" ? status.emergency.level : "none";
      const of = (limit) => (row) => `${figure(row[`${limit}_demand`])} of ${figure(row[`${limit}_limit`])}`;
      return [
        cards([
          ["tenants", figure(status.tenants)],
          ["Mimir that answers", status.coverage === null ? "unknown" : share(status.coverage), status.coverage !== null && status.coverage < 1 ? "warn" : ""],
          ["emergency", level, level === "none" ? "" : "bad"],
          ["newest revision", status.revision === null ? "none" : status.revision],
          ["open incidents", figure(status.open_incidents), status.open_incidents ? "warn" : ""],
          ["publishing", status.paused || (status.mode === "prod" ? "on" : "dry run"), status.paused ? "warn" : ""],
        ]),
        ...broken.map(([name, each]) => make("p", { class: "bad" }, `${name}: ${each.problem}`)),
        make("div", { class: "tools" }, search("Find a tenant"),
          status.paused ? button("Resume publishing", () => order("Publish again", "resume", {}, [REASON, BY]))
            : button("Pause publishing", () => order("Publish nothing from now on", "pause", {}, [REASON, BY, UNTIL]))),
        table([
          { heading: "tenant", short: true, cell: (row) => toTenant(row.tenant) },
          { heading: "state", short: true, cell: (row) => row.state },
          { heading: "used", cell: (row) => bar(row.used_percent) },
          { heading: "samples/s", number: true, cell: of("ingestion_rate") },
          { heading: "series", number: true, cell: of("max_global_series_per_user") },
          { heading: "last seen", short: true, cell: (row) => since(row.last_seen) },
        ], found.rows, state.search ? "no tenant has that in its name" : "no tenant was seen yet"),
        pages(found.total),
        make("h2", {}, "Newest runs"),
        table([
          { heading: "flow", short: true, cell: (row) => row.flow },
          { heading: "what happened", cell: (row) => row.url ? make("a", { href: row.url, rel: "noreferrer" }, row.what) : row.what },
          { heading: "outcome", short: true, cell: (row) => make("span", { class: row.outcome === "success" ? "" : "bad" }, row.outcome) },
          { heading: "ended", short: true, cell: (row) => since(row.finished_at) },
        ], status.runs, "no flow has run yet"),
      ];
    } },
    limits: { title: "Limits", show: async () => {
      const [diff, revisions] = await Promise.all([ask("diff"), ask("revisions?limit=20")]);
      const [pins, holds] = await Promise.all([ask("pins"), ask("holds")]);
      return [
        make("h2", {}, "Would be published now"),
        diff.paused ? make("p", { class: "warn" }, `It waits: ${diff.paused}`) : null,
        ...diff.problems.map((each) => make("p", { class: "bad" }, `Not published: ${each}`)),
        table([
          { heading: "tenant", short: true, cell: (row) => toTenant(row.tenant) },
          { heading: "limit", short: true, cell: (row) => row.limit },
          { heading: "now", number: true, cell: (row) => figure(row.before) },
          { heading: "would be", number: true, cell: (row) => row.after === null ? "as without us" : figure(row.after) },
          { heading: "by", short: true, cell: (row) => row.decided_by || "-" },
          { heading: "why", cell: (row) => row.reason || "" },
        ], diff.changes.slice(0, 200), "what the layers say is in force"),
        make("h2", {}, "Pinned"),
        table([
          { heading: "tenant", short: true, cell: (row) => toTenant(row.tenant) },
          { heading: "limit", short: true, cell: (row) => row.limit },
          { heading: "value", number: true, cell: (row) => figure(row.value) },
          { heading: "without", number: true, cell: (row) => figure(row.without) },
          { heading: "by", short: true, cell: (row) => row.by },
          { heading: "until", short: true, cell: (row) => row.until ? moment(row.until) : "taken back" },
          { heading: "why", cell: (row) => row.reason },
          { heading: "", actions: true, cell: (row) => button("Unpin", () => order(`Unpin ${row.limit} of ${row.tenant}`, "pins/remove", { tenant: row.tenant, limit: row.limit }, [REASON, BY])) },
        ], pins.rows, "nothing is pinned"),
        holds.rows.length ? make("h2", {}, "Held at an earlier revision") : null,
        holds.rows.length ? table([
          { heading: "tenant", short: true, cell: (row) => row.tenant || "everyone" },
          { heading: "revision", number: true, cell: (row) => row.revision },
          { heading: "by", short: true, cell: (row) => row.by },
          { heading: "until", short: true, cell: (row) => row.until ? moment(row.until) : "released" },
          { heading: "why", cell: (row) => row.reason },
          { heading: "", actions: true, cell: (row) => button("Release", () => order(`Release ${row.tenant || "everyone"}`, "release", row.tenant ? { tenant: row.tenant } : {}, [REASON, BY])) },
        ], holds.rows, "") : null,
        make("h2", {}, "Published"),
        table([
          { heading: "revision", number: true, cell: (row) => row.revision },
          { heading: "when", short: true, cell: (row) => moment(row.begun_at) },
          { heading: "by", short: true, cell: (row) => row.actor },
          { heading: "outcome", short: true, cell: (row) => row.outcome, look: (row) => row.outcome === "confirmed" ? "good" : row.outcome === "reverted" || row.outcome === "failed" ? "bad" : "" },
          { heading: "limits", number: true, cell: (row) => figure(row.changed_limits) },
          { heading: "detail", cell: (row) => row.detail || "" },
          { heading: "", actions: true, cell: (row) => button("Roll back to it", () => order(`Publish revision ${row.revision} again, and hold it`, "rollback", { revision: row.revision }, [{ name: "tenant", label: "Of one tenant (else: of everyone)", optional: true }, REASON, BY, UNTIL])) },
        ], revisions.rows, "nothing was published yet"),
      ];
    } },
    breakers: { title: "Breakers", show: async () => {
      const found = await ask("circuit-breaker/status");
      const switchOff = (tenant) => order(tenant ? `Switch off the breaker of ${tenant}` : "Switch off every breaker", "circuit-breaker/disable", tenant ? { tenant } : {}, [REASON, BY]);
      return [
        make("p", {}, found.enabled ? "Breakers are on." : "Breakers are off by the settings.", found.mode === "prod" ? "" : " In a dry run none caps anybody."),
        make("div", { class: "tools" }, button("Switch off every breaker", () => switchOff(null))),
        table([
          { heading: "tenant", short: true, cell: (row) => toTenant(row.tenant) },
          { heading: "state", short: true, cell: (row) => row.state, look: (row) => row.state === "open" ? "bad" : "warn" },
          { heading: "since", short: true, cell: (row) => since(row.since) },
          { heading: "of what", cell: (row) => row.kinds },
          { heading: "why", cell: (row) => row.because },
          { heading: "openings", number: true, cell: (row) => row.openings },
          { heading: "", actions: true, cell: (row) => make("span", {},
            button("Close", () => order(`Close the breaker of ${row.tenant} at once`, "circuit-breaker/reset", { tenant: row.tenant }, [REASON, BY])), " ",
            button("Switch off", () => switchOff(row.tenant))) },
        ], found.breakers, "every breaker is closed"),
        make("h2", {}, "Switched off"),
        table([
          { heading: "whose", cell: (row) => row.tenant || "everyone's" },
          { heading: "by", short: true, cell: (row) => row.by },
          { heading: "why", cell: (row) => row.reason },
          { heading: "", actions: true, cell: (row) => button("Switch on", () => order(`Switch on ${row.tenant ? `the breaker of ${row.tenant}` : "every breaker"}`, "circuit-breaker/enable", row.tenant ? { tenant: row.tenant } : {}, [REASON, BY])) },
        ], found.switched_off, "none"),
      ];
    } },
    alerts: { title: "Alerts", show: async () => {
      const found = await ask("alerts?limit=100");
      return [table([
        { heading: "since", short: true, cell: (row) => moment(row.opened_at) },
        { heading: "priority", short: true, cell: (row) => row.priority, look: (row) => row.priority < "P2" ? "bad" : row.priority === "P2" ? "warn" : "" },
        { heading: "state", short: true, cell: (row) => row.state },
        { heading: "what", cell: (row) => row.title },
        { heading: "told", cell: (row) => row.told || "nobody" },
        { heading: "waits for", cell: (row) => row.waits_for || "-" },
        { heading: "", actions: true, cell: (row) => row.state === "firing" ? button("I see to it", () => order(`See to ${row.incident}`, "alerts/acknowledge", { incident: row.incident }, [{ ...BY, label: "Who", optional: true }])) : "" },
      ], found.rows, "nothing was ever told")];
    } },
    cost: { title: "Cost", show: async () => {
      const [budgets, teams, tenants, savings] = await Promise.all([ask("budgets"), ask("cost?by=team"), ask("cost?limit=20"), ask("savings?limit=20")]);
      const row = (what) => [
        { heading: what, cell: (each) => each.kind === "charged" ? (what === "tenant" ? toTenant(each.tenant) : each.team || "unattributed") : each.kind === "idle" ? "(idle)" : "(beyond the bill)" },
        { heading: "this month", number: true, cell: (each) => `${money(each.amount)} ${each.currency}` },
        { heading: "share", number: true, cell: (each) => share(each.share) },
      ];
      return [
        make("h2", {}, "Budgets"),
        table([
          { heading: "whose", cell: (each) => each.scope === "global" ? "everybody" : each.scope === "tenant" ? toTenant(each.name) : `team ${each.name}` },
          { heading: "period", cell: (each) => each.unit },
          { heading: "used", cell: (each) => bar(each.used === null ? null : each.used * 100) },
          { heading: "spent", number: true, cell: (each) => `${money(each.spent)} of ${money(each.budget)} ${each.currency}` },
          { heading: "comes to", number: true, cell: (each) => each.p50 === null ? "not enough history" : money(each.p50) },
          { heading: "exceeds", number: true, cell: (each) => each.over_probability === null ? "unknown" : share(each.over_probability) },
        ], budgets.rows, "no budget is set"),
        make("h2", {}, "By team"), table(row("team"), teams.rows, "nothing is priced yet"),
        make("h2", {}, "The dearest tenants"), table(row("tenant"), tenants.rows, "nothing is priced yet"),
        make("h2", {}, "Could be saved, a month"),
        table([
          { heading: "what", cell: (each) => each.kind },
          { heading: "tenant", cell: (each) => toTenant(each.tenant) },
          { heading: "exposure cut", number: true, cell: (each) => money(each.exposure) },
          { heading: "avoided", number: true, cell: (each) => money(each.avoided) },
          { heading: "why", cell: (each) => each.because },
          { heading: "do", cell: (each) => make("code", {}, each.command) },
        ], savings.rows, "nothing is recommended"),
      ];
    } },
    audit: { title: "Audit", show: async () => {
      const found = await ask("audit?limit=100");
      return [table([
        { heading: "when", short: true, cell: (row) => moment(row.at) },
        { heading: "what", short: true, cell: (row) => row.action, look: (row) => row.success ? "" : "bad" },
        { heading: "tenant", short: true, cell: (row) => row.tenant ? toTenant(row.tenant) : "-" },
        { heading: "by", short: true, cell: (row) => row.actor },
        { heading: "details", cell: (row) => row.details },
      ], found.rows, "nothing was entered yet")];
    } },
    tenant: { title: "", show: async (name) => {
      const found = await ask(`tenants/${encodeURIComponent(name)}`);
      const pinned = new Set(found.pins.map((each) => each.limit));
      const risks = Object.fromEntries(found.risks.map((each) => [each.limit, each]));
      return [
        make("h2", {}, name),
        make("div", { class: "tools" }, link("← fleet", "fleet"),
          found.breaker ? make("span", { class: "bad" }, `breaker ${found.breaker.state}: ${found.breaker.because}`) : make("span", { class: "dim" }, "breaker closed"),
          found.breaker ? button("Close it", () => order(`Close the breaker of ${name} at once`, "circuit-breaker/reset", { tenant: name }, [REASON, BY])) : null,
          button("Switch its breaker off", () => order(`Switch off the breaker of ${name}`, "circuit-breaker/disable", { tenant: name }, [REASON, BY]))),
        ...found.stories.flatMap((story) => [
          make("h3", {}, story.limit, " ",
            pinned.has(story.limit) ? button("Unpin", () => order(`Unpin ${story.limit} of ${name}`, "pins/remove", { tenant: name, limit: story.limit }, [REASON, BY]))
              : button("Pin", () => order(`Pin ${story.limit} of ${name}`, "pins", { tenant: name, limit: story.limit }, [{ name: "value", label: "Value", type: "number" }, REASON, BY, UNTIL]))),
          risks[story.limit] ? make("p", { class: "dim" }, `asked for ${figure(risks[story.limit].demand)}, ${risks[story.limit].hit_probability === null ? "how likely it is hit is unknown" : `hit with a probability of ${share(risks[story.limit].hit_probability)}`}`) : null,
          table([
            { heading: "layer", short: true, cell: (row) => row.layer },
            { heading: "says", short: true, cell: (row) => `${row.kind} ${figure(row.value)}` },
            { heading: "then it is", number: true, cell: (row) => figure(row.after) },
            { heading: "why", cell: (row) => [row.reason, row.by && `by ${row.by}`, row.expires_at && `until ${moment(row.expires_at)}`].filter(Boolean).join(", ") },
          ], story.voices.map((each) => ({ ...each, _class: each.decides && "decides" })), "no layer says anything"),
          story.decision ? make("p", {}, "Newest decision: ", story.decision) : null,
          story.steps.length ? make("details", {}, make("summary", {}, "How it came to that"), table([
            { heading: "step", cell: (row) => row.name },
            { heading: "from", number: true, cell: (row) => row.before === null ? "" : figure(row.before) },
            { heading: "to", number: true, cell: (row) => figure(row.after) },
            { heading: "why", cell: (row) => row.because || "" },
          ], story.steps, "")) : null,
        ]),
        found.stories.length ? null : make("p", { class: "dim" }, "nothing was decided for it yet"),
        found.recommendations.length ? make("h2", {}, "Could be saved") : null,
        ...found.recommendations.map((each) => make("p", {}, `${each.kind}: ${each.because} `, make("code", {}, each.command))),
      ];
    } },
  };

  // A browser that follows a link sends no token, so the report is fetched with it and saved.
  const saveReport = async () => {
    const answer = await fetch("report", { headers: token() ? { Authorization: `Bearer ${token()}` } : {}, cache: "no-store" });
    if (!answer.ok) {
      $("state").textContent = answer.status === 401 ? "the report needs a token" : await answer.text();
      $("state").className = "bad";
      if (answer.status === 401) askToken();
      return;
    }
    const link = make("a", { href: URL.createObjectURL(await answer.blob()), download: "report.html" });
    link.click();
    URL.revokeObjectURL(link.href);
  };

  const where = () => {
    const [view, ...rest] = location.hash.slice(1).split("/");
    return [VIEWS[view] ? view : "fleet", decodeURIComponent(rest.join("/"))];
  };
  const show = async (keepsFocus = false) => {
    clearTimeout(state.timer);
    const [view, about] = where();
    if (`${view}/${about}` !== state.view) { state.view = `${view}/${about}`; state.search = ""; state.offset = 0; }
    $("views").replaceChildren(...Object.entries(VIEWS).filter(([, each]) => each.title).map(([name, each]) =>
      make("a", { href: `#${name}`, "aria-current": name === view ? "page" : undefined }, each.title)));
    const number = (state.seen += 1);
    try {
      const parts = await VIEWS[view].show(about);
      if (number !== state.seen) return;
      const typing = document.activeElement && document.activeElement.type === "search";
      const opened = [...document.querySelectorAll("details[open]")].length;
      if (!(opened && keepsFocus === "timer")) $("main").replaceChildren(...parts.filter(Boolean));
      if (typing) { const field = document.querySelector("input[type=search]"); if (field) { field.focus(); field.setSelectionRange(field.value.length, field.value.length); } }
      $("state").textContent = `as of ${new Date().toLocaleTimeString()}`;
      $("state").className = "";
    } catch (problem) {
      if (number !== state.seen) return;
      $("state").textContent = problem.code ? problem.message : "the process does not answer";
      $("state").className = "bad";
      if (problem.code === 401 && !$("dialog").open) askToken();
    }
    state.timer = setTimeout(() => (document.hidden || $("dialog").open ? (state.timer = setTimeout(() => show("timer"), EVERY_MS)) : show("timer")), EVERY_MS);
  };
  $("key").onclick = askToken;
  $("report").onclick = saveReport;
  window.addEventListener("hashchange", () => { show(); $("main").focus(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) show("timer"); });
  show();
})();
