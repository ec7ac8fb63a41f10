// Every page can be read without this script. It sorts, filters and pages tables, filters the gallery, copies TeX.
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// What scrolls can be reached by keyboard, and nothing else gets in the way of it.
function markScrolling() {
  for (const box of all(".scroll, pre, .math.display")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", markScrolling);
markScrolling();

// On a narrow page the contents are closed at first.
if (matchMedia("(max-width: 68rem)").matches) for (const toc of all("details.toc")) toc.open = false;

const number = (text) => (text.endsWith("inf") ? (text[0] === "-" ? -Infinity : Infinity) : Number(text));

function readTable(table) {
  const body = table.tBodies[0], rows = [...body.rows], tools = table.closest("main").querySelector(".tools");
  const texts = new Map(rows.map((row) => [row, [...row.cells].map((cell) => cell.textContent)]));
  const part = Number(table.dataset.part), search = tools.querySelector("input"), shown = tools.querySelector(".shown");
  const back = tools.querySelector(".back"), on = tools.querySelector(".on");
  let order = rows, first = 0;

  function show() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = order.filter((row) => {
      const text = texts.get(row).join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    first = Math.min(first, Math.max(0, Math.floor((found.length - 1) / part) * part));
    const visible = found.slice(first, first + part);
    body.replaceChildren(...visible);
    shown.textContent = found.length > part
      ? `${first + 1} to ${first + visible.length} of ${found.length} rows`
      : `${found.length} ${found.length === 1 ? "row" : "rows"}`;
    back.disabled = first === 0;
    on.disabled = first + part >= found.length;
    tools.querySelector(".turn").hidden = found.length <= part;
    markScrolling();
  }

  function sortBy(head, at) {
    const down = head.getAttribute("aria-sort") === "ascending", sign = down ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const isNumber = head.classList.contains("num");
    order = rows.slice().sort((one, two) => {
      const [a, b] = [texts.get(one)[at], texts.get(two)[at]];
      if (a === "" || b === "") return (a === "") - (b === ""); // blanks last, either way
      return sign * (isNumber ? number(a) - number(b) || 0 : a.localeCompare(b));
    });
    first = 0;
    show();
  }

  [...table.tHead.rows[0].cells].forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(head, at));
    head.replaceChildren(button);
  });
  search.addEventListener("input", () => { first = 0; show(); });
  back.addEventListener("click", () => { first -= part; show(); });
  on.addEventListener("click", () => { first += part; show(); });
  tools.hidden = false;
  show();
}
all("table.sortable").forEach(readTable);

for (const filter of all(".filter")) {
  const buttons = all("button", filter);
  const choose = (shelf) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.shelf === shelf));
    for (const section of all("section[data-shelf]")) section.hidden = shelf !== "" && section.dataset.shelf !== shelf;
  };
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.shelf));
  addEventListener("hashchange", () => {
    const place = document.getElementById(location.hash.slice(1));
    if (place?.closest("section[hidden]")) { choose(""); place.scrollIntoView(); }
  });
  filter.hidden = false;
}

for (const button of all("button.copy")) {
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(text);
    const done = await navigator.clipboard?.writeText(text.textContent).then(() => true, () => false);
    button.textContent = done || document.execCommand("copy") ? "Copied" : "Selected: copy it with the keyboard";
  });
  button.hidden = false;
}
