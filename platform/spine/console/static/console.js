// The console works without this. With it: live pages, keys, questions before what cannot be taken back, times that move.
"use strict";

(() => {
  const root = document.documentElement;
  const body = document.body;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("scripted");

  // Business time may run faster than ours, in the demonstration: the page says when it was made and how fast time goes.
  const madeAt = Date.now();
  const businessNow = () => Date.parse(body.dataset.now) + (Date.now() - madeAt) * Number(body.dataset.rate);
  const numbering = body.dataset.digits === "0" ? "latn" : "arab";
  const relative = new Intl.RelativeTimeFormat(`${root.lang}-u-nu-${numbering}`, { numeric: "always" });
  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  function tellTimes() {
    for (const time of all("time[data-relative]")) {
      const seconds = (Date.parse(time.dateTime) - businessNow()) / 1000;
      const [unit, length] = UNITS.find(([, each]) => Math.abs(seconds) >= each * 0.95) || UNITS[3];
      time.textContent = relative.format(Math.round(seconds / length), unit);
    }
  }
  setInterval(tellTimes, 20000);

  // A form at work: its buttons wait, so that a second click does nothing. Coming back to the page frees them.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method === "dialog") return;
    setTimeout(() => form.setAttribute("aria-busy", "true"), 0);
  });
  addEventListener("pageshow", () => all("form[aria-busy]").forEach((form) => form.removeAttribute("aria-busy")));

  // A question first, where a form or a button asks for one. The same button is pressed again after a yes.
  const ask = one("[data-ask]");
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = event.submitter?.dataset.confirm || form.dataset.confirm;
    if (!question || form.dataset.sure === "yes" || !ask?.showModal) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    one("[data-ask-text]", ask).textContent = question;
    ask.returnValue = "";
    ask.onclose = () => {
      if (ask.returnValue !== "yes") return;
      form.dataset.sure = "yes";
      form.requestSubmit(event.submitter);
      delete form.dataset.sure;
    };
    ask.showModal();
    one("[data-ask-yes]", ask).focus();
  }, true);

  // Marking several: the bar that acts on them shows how many there are.
  function countMarked() {
    const marked = all("[data-pick]:checked").length;
    for (const place of all("[data-picked]")) place.textContent = new Intl.NumberFormat(`${root.lang}-u-nu-${numbering}`).format(marked);
    for (const bar of all("[data-bulk]")) bar.classList.toggle("idle", marked === 0);
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-pick-all]")) all("[data-pick]").forEach((box) => { box.checked = event.target.checked; });
    if (event.target.matches("[data-pick], [data-pick-all]")) countMarked();
    if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
  });
  countMarked();

  // Keys. Not while somebody types.
  const rows = () => all("[data-row]");
  let going = false;
  function walk(step) {
    const found = rows();
    if (!found.length) return;
    const at = found.findIndex((row) => row.contains(document.activeElement));
    const next = found[Math.max(0, Math.min(found.length - 1, at < 0 ? (step > 0 ? 0 : found.length - 1) : at + step))];
    (one("a[href]", next) || next).focus();
    next.scrollIntoView({ block: "nearest" });
  }
  function reach(name) {
    const target = one(`[data-key="${name}"]`);
    if (!target) return false;
    const folded = target.closest("details:not([open])");
    if (folded) folded.open = true;
    if (target.matches("a[href]")) target.click();
    else target.focus();
    target.scrollIntoView({ block: "center" });
    return true;
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
    if (going) {
      going = false;
      const place = one(`[data-go="${CSS.escape(event.key)}"]`);
      if (place) { event.preventDefault(); place.click(); }
      return;
    }
    const row = rows().find((each) => each.contains(document.activeElement));
    if (event.key === "j") walk(1);
    else if (event.key === "k") walk(-1);
    else if (event.key === "g") going = true;
    else if (event.key === "x" && row) one("[data-pick]", row)?.click();
    else if (event.key === "?") one("[data-keys]")?.showModal();
    else if (["a", "r", "e"].includes(event.key) && reach(event.key)) event.preventDefault();
  });

  // Live: something has changed, so the list is fetched anew, unless somebody is at work in it; then they are told.
  function busy() {
    return one("dialog[open], form[aria-busy]") || one("[data-pick]:checked") || one("[data-dirty]") || document.activeElement?.closest("main form");
  }
  document.addEventListener("input", (event) => event.target.closest("form")?.setAttribute("data-dirty", ""));
  async function refresh() {
    const live = one("[data-live]");
    if (!live || busy()) { one("[data-news]").hidden = false; return; }
    const answer = await fetch(location.href, { headers: { "X-Live": "1" } });
    if (!answer.ok || answer.redirected) { one("[data-news]").hidden = false; return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const there = document.activeElement?.getAttribute("href");
    const replacement = one("[data-live]", fresh);
    if (!replacement) return;
    live.replaceWith(replacement);
    // The whole link: the number comes with the first request that waits, and goes with the last.
    const [inbox, shown] = [one('.places a[href="/console/"]', fresh), one('.places a[href="/console/"]')];
    if (inbox && shown) shown.replaceChildren(...inbox.childNodes);
    if (there) one(`[data-live] a[href="${CSS.escape(there)}"]`)?.focus();
    tellTimes();
    countMarked();
  }
  if (body.dataset.signed === "yes" && "EventSource" in window && one("[data-live], [data-live-notice]")) {
    // Only while somebody looks: browsers open six connections to one host, so the seventh open tab would wait for ever.
    let stream = null;
    let known = null;
    let unsure = false; // turned away from before it was told how things stood: it cannot know what it missed, so it looks
    const hear = (event) => {
      if (unsure || (known !== null && event.data !== known)) refresh().catch(() => {});
      unsure = false;
      known = event.data;
    };
    const listen = () => {
      stream = new EventSource("/console/stream");
      stream.addEventListener("standing", hear);
      stream.addEventListener("changed", hear);
      stream.addEventListener("ended", () => stream.close());
    };
    const hush = () => { stream?.close(); stream = null; unsure ||= known === null; };
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return hush();
      if (!stream) listen();
    });
    addEventListener("pagehide", hush);
    addEventListener("pageshow", (event) => { if (event.persisted && !stream && !document.hidden) listen(); });
    if (!document.hidden) listen();
  }
})();
