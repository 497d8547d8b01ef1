"use strict";
// A click on the head of a column sorts by it: from the largest number or the first letter on, the other way, then as at first. Cells
// without a value stand last.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const first = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const sort = function (column) {
    const head = heads[column];
    const numbers = first.some(function (row) { return row.cells[column].hasAttribute("data-value"); });
    const order = numbers ? ["descending", "ascending"] : ["ascending", "descending"];
    const next = order[order.indexOf(head.getAttribute("aria-sort")) + 1];
    for (const h of heads) { h.removeAttribute("aria-sort"); }
    let rows = first;
    if (next !== undefined) {
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      const key = function (row) {
        const cell = row.cells[column];
        if (numbers) { return cell.hasAttribute("data-value") ? Number(cell.getAttribute("data-value")) : null; }
        return cell.textContent === "" ? null : cell.textContent;
      };
      rows = Array.from(first).sort(function (a, b) {
        const x = key(a), y = key(b);
        if (x === null || y === null) { return (x === null ? 1 : 0) - (y === null ? 1 : 0); }
        return sign * (numbers ? x - y : x.localeCompare(y, "en", {numeric: true}));
      });
    }
    for (const row of rows) { body.appendChild(row); }
  };
  heads.forEach(function (head, column) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", function () { sort(column); });
    head.replaceChildren(button);
  });
}
for (const a of document.querySelectorAll("nav summary a")) {
  a.addEventListener("click", function (e) { e.stopPropagation(); });
}
