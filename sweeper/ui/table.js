// table.js: the rows that can be seen, and no others. Of ten thousand there are some forty in the
// document; pages of them are fetched as they come into view.

const kPageRows = 100;
const kMaxPages = 40;   // that are remembered; those farthest from view are forgotten
const kOverscan = 8;    // rows beyond each edge of the window

export class Table {
  // fetchPage(offset, limit, signal): a promise of {total, rows}. fill(element, row): writes a row.
  // open(row): it was chosen. changed(total): another number of rows, or the first one known.
  constructor({ grid, body, fetchPage, fill, open, changed, failed }) {
    Object.assign(this, { grid, body, fetchPage, fill, open, changed, failed });
    this.pages = new Map();     // page number -> {rows, stale}
    this.loading = new Map();   // page number -> AbortController
    this.elements = new Map();  // row index -> element
    this.total = 0;
    this.active = 0;            // the one row that Tab reaches
    this.drawing = 0;
    const draw = () => this.draw();
    window.addEventListener("scroll", draw, { passive: true });
    window.addEventListener("resize", draw);
    body.addEventListener("keydown", (event) => this.onKey(event));
    body.addEventListener("click", (event) => this.onClick(event));
    body.addEventListener("focusin", (event) => this.onFocus(event));
  }

  // Everything anew: other filters.
  reset() {
    this.abort();
    this.pages.clear();
    this.active = 0;
    this.load(0);
  }

  // What is shown stays until what is known now has come.
  refresh() {
    this.abort();
    for (const page of this.pages.values()) page.stale = true;
    if (this.pages.size === 0) this.load(0);
    this.draw();
  }

  abort() {
    for (const request of this.loading.values()) request.abort();
    this.loading.clear();
  }

  draw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.drawNow();
    });
  }

  rowHeight() {
    return parseFloat(getComputedStyle(this.body).getPropertyValue("--row-height")) *
      parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  drawNow() {
    if (this.body.offsetParent === null) return;  // another view is shown
    const height = this.rowHeight();
    this.body.style.height = `${this.total * height}px`;
    this.grid.setAttribute("aria-rowcount", this.total + 1);
    const above = Math.max(0, -this.body.getBoundingClientRect().top);
    const first = Math.max(0, Math.floor(above / height) - kOverscan);
    const last = Math.min(this.total, Math.ceil((above + window.innerHeight) / height) + kOverscan);
    const wanted = new Set();
    for (let index = first; index < last; ++index) wanted.add(index);
    // The row that has the focus keeps it, however far it is scrolled away.
    if (this.active < this.total && this.elements.get(this.active)?.contains(document.activeElement)) {
      wanted.add(this.active);
    }
    if (!wanted.has(this.active)) this.active = first;
    for (const [index, element] of this.elements) {
      if (wanted.has(index)) continue;
      element.remove();
      this.elements.delete(index);
    }
    for (const index of [...wanted].sort((a, b) => a - b)) this.drawRow(index, height);
    for (let page = Math.floor(first / kPageRows); page * kPageRows < last; ++page) this.load(page);
    this.forgetFarPages(first);
  }

  drawRow(index, height) {
    let element = this.elements.get(index);
    if (!element) {
      element = document.createElement("div");
      element.className = "row";
      element.setAttribute("role", "row");
      element.setAttribute("aria-rowindex", index + 2);
      element.dataset.index = index;
      // In the order of the rows, for those who read the document instead of looking at it.
      let next = null;
      for (const [other, candidate] of this.elements) {
        if (other > index && (next === null || other < Number(next.dataset.index))) next = candidate;
      }
      this.body.insertBefore(element, next);
      this.elements.set(index, element);
    }
    element.style.transform = `translateY(${index * height}px)`;
    element.tabIndex = index === this.active ? 0 : -1;
    const row = this.rowAt(index) ?? null;
    if (element.shown !== row) {
      element.shown = row;
      this.fill(element, row);
    }
  }

  rowAt(index) {
    return this.pages.get(Math.floor(index / kPageRows))?.rows[index % kPageRows];
  }

  async load(page) {
    const known = this.pages.get(page);
    if ((known && !known.stale) || this.loading.has(page)) return;
    const request = new AbortController();
    this.loading.set(page, request);
    try {
      const answer = await this.fetchPage(page * kPageRows, kPageRows, request.signal);
      if (request.signal.aborted) return;
      this.loading.delete(page);
      this.pages.set(page, { rows: answer.rows, stale: false });
      this.total = answer.total;
      this.changed(answer.total);
      this.draw();
    } catch (error) {
      if (request.signal.aborted) return;
      this.loading.delete(page);
      this.failed(error);
    }
  }

  forgetFarPages(first) {
    if (this.pages.size <= kMaxPages) return;
    const here = first / kPageRows;
    const farthest = [...this.pages.keys()].sort((a, b) => Math.abs(b - here) - Math.abs(a - here));
    for (const page of farthest.slice(0, this.pages.size - kMaxPages)) this.pages.delete(page);
  }

  indexOf(event) {
    const element = event.target.closest(".row");
    return element ? Number(element.dataset.index) : -1;
  }

  onFocus(event) {
    const index = this.indexOf(event);
    if (index < 0 || index === this.active) return;
    const before = this.elements.get(this.active);
    if (before) before.tabIndex = -1;
    this.active = index;
    this.elements.get(index).tabIndex = 0;
  }

  onClick(event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;  // its link, in a window of its own
    const row = this.rowAt(this.indexOf(event));
    if (!row) return;
    event.preventDefault();
    event.target.closest(".row").focus();
    this.open(row);
  }

  onKey(event) {
    const index = this.indexOf(event);
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const screen = Math.max(1, Math.floor(window.innerHeight / this.rowHeight()) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: screen, PageUp: -screen,
      Home: -this.total, End: this.total };
    if (event.key in steps) {
      event.preventDefault();
      this.focusRow(Math.min(this.total - 1, Math.max(0, index + steps[event.key])));
    } else if ((event.key === "Enter" || event.key === " ") && this.rowAt(index)) {
      event.preventDefault();
      this.open(this.rowAt(index));
    }
  }

  focusRow(index) {
    const height = this.rowHeight();
    const top = this.body.getBoundingClientRect().top + index * height;
    const head = this.grid.querySelector(".head").offsetHeight;
    if (top < head) {
      window.scrollBy(0, top - head);
    } else if (top + height > window.innerHeight) {
      window.scrollBy(0, top + height - window.innerHeight);
    }
    // Drawn before the old one loses its focus, and with it its place in the document.
    this.drawNow();
    this.elements.get(index)?.focus({ preventScroll: true });
  }
}
