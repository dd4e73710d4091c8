"use strict";
// When versions were first listed, and which are on no remote.

const DAY = 86400;
const dated = VERSIONS.filter((version) => version.commit).sort(
  (a, b) => b.commit.when - a.commit.when,
);

/** The beginnings of days, weeks, months or years that fit in a picture, and how to name them. */
function spans() {
  const first = dated[dated.length - 1].commit.when,
    last = dated[0].commit.when;
  const days = (last - first) / DAY;
  const step = days <= 60 ? "day" : days <= 400 ? "week" : days <= 3000 ? "month" : "year";
  const date = new Date(first * 1000);
  date.setUTCHours(0, 0, 0, 0);
  if (step === "week") date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  if (step === "month" || step === "year") date.setUTCDate(1);
  if (step === "year") date.setUTCMonth(0);
  const found = [];
  while (date.getTime() / 1000 <= last && found.length < 1000) {
    const length = { day: 10, week: 10, month: 7, year: 4 }[step];
    found.push({
      from: date.getTime() / 1000,
      name: date.toISOString().slice(0, length),
      versions: [],
    });
    if (step === "year") date.setUTCFullYear(date.getUTCFullYear() + 1);
    else if (step === "month") date.setUTCMonth(date.getUTCMonth() + 1);
    else date.setUTCDate(date.getUTCDate() + (step === "week" ? 7 : 1));
  }
  let at = 0;
  for (const version of dated.slice().reverse()) {
    while (found[at + 1] && version.commit.when >= found[at + 1].from) at++;
    found[at].versions.push(version);
  }
  return { step, found };
}

function timeRows(versions) {
  table(
    by("time-rows"),
    [
      ["First listed (UTC)"],
      ["Entry", "long"],
      ["Version"],
      ["Size", "number"],
      ["Author"],
      ["Commit", "long"],
    ],
    versions,
    (version) => [
      when(version.commit.when),
      going(version.entry.node),
      el("span", { class: "hash" }, short(version.hash)),
      bytes(version.size),
      version.commit.author,
      `${version.commit.subject} (${version.commit.id})`,
    ],
  );
}

function startTimeline() {
  const undated = VERSIONS.length - dated.length;
  const why = !DATA.git
    ? "There is no history of git here, so nothing is dated."
    : undated
      ? `${counted(undated, "version")} ${undated === 1 ? "is" : "are"} in no commit yet.`
      : "";
  const cut = DATA.shallow ? " This clone is shallow: older dates may be too late." : "";
  if (!dated.length) {
    by("time-note").textContent = why + cut;
    by("time-count").parentElement.hidden = true;
    return;
  }
  const { step, found } = spans();
  let chosen = null,
    bySize = false;
  const every = Math.ceil(found.length / 8);
  const show = () => {
    const value = (span) => (bySize ? total(span.versions) : span.versions.length);
    const most = Math.max(...found.map(value), 1);
    by("bars").replaceChildren(
      ...found.map((span, nr) => {
        const { name, versions } = span;
        const label = `${name}: ${counted(versions.length, "version")}, ${bytes(total(versions))}`;
        const fill = el("span", { class: "fill" });
        fill.style.height = value(span) ? Math.max((value(span) / most) * 165, 2) + "px" : "0";
        return el(
          "button",
          {
            title: label,
            "aria-label": label,
            "aria-pressed": String(span === chosen),
            on: () => {
              chosen = span === chosen ? null : span;
              show();
              by("bars").children[nr].focus();
            },
          },
          fill,
          el("span", { class: "when" }, nr % every ? "" : span.name),
        );
      }),
    );
    const rest = chosen ? ` Shown: ${step} of ${chosen.name}.` : "";
    by("time-note").textContent =
      `${counted(dated.length, "version")} by ${step}. ${why}${cut}${rest}`;
    timeRows(chosen ? chosen.versions.slice().reverse() : dated);
    by("time-count").setAttribute("aria-pressed", String(!bySize));
    by("time-size").setAttribute("aria-pressed", String(bySize));
  };
  by("time-count").addEventListener("click", () => {
    bySize = false;
    show();
  });
  by("time-size").addEventListener("click", () => {
    bySize = true;
    show();
  });
  show();
}

function startPushed() {
  const alone = VERSIONS.filter(isAlone);
  const gone = alone.filter((version) => !version.stored);
  const what = `${counted(alone.length, "version")} (${bytes(total(alone))})`;
  by("pushed-note").textContent = !alone.length
    ? VERSIONS.length
      ? `Every version is known to be on a remote (${DATA.remotes.join(", ")}).`
      : "Nothing is listed yet."
    : `${what} ${alone.length === 1 ? "is" : "are"} not known to be on a remote. ` +
      (DATA.remotes.length
        ? "`lazydata push` sends what is stored here."
        : "There is no remote yet: `lazydata add-remote` adds one.") +
      (gone.length
        ? ` Not stored here either: ${many(gone.length)} of them.`
        : "");
  alone.sort((a, b) => (b.size || 0) - (a.size || 0));
  table(
    by("pushed-rows"),
    [["Entry", "long"], ["Version"], ["Size", "number"], ["Which"], ["Where"]],
    alone,
    (version) => [
      going(version.entry.node),
      el("span", { class: "hash" }, short(version.hash)),
      bytes(version.size),
      version.latest ? "latest" : "earlier",
      el("span", { class: version.stored ? "" : "bad" }, whereabouts(version)),
    ],
  );
}

facts();
drawing.start();
treemap.start();
startSearch();
startTimeline();
startPushed();
startTabs();
