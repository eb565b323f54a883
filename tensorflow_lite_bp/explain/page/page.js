
"use strict";
// What is shown stands in the address, behind #: the node, the notation, the form, the language. Every change goes there,
// and from there to the page. Each view of the derivation is a tree in a table, as `markup.Pool` makes it; the table is
// unpacked when it is first asked for.
(() => {
  const { places, refused, words, names, spoken, shapes, start } = JSON.parse(document.getElementById("data").textContent);
  const nav = document.querySelector("nav"), main = document.getElementById("main");
  const vertices = [...nav.querySelectorAll(".vertex")], edges = [...nav.querySelectorAll(".edges path")];
  const MATH = "http://www.w3.org/1998/Math/MathML";
  const key = view => `${view.notation} ${view.form} ${view.lang}`;
  let shown = key(start), table;

  function unpacked() {
    const bytes = Uint8Array.from(atob(document.getElementById("views").textContent), letter => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
  }

  function build(pool, place, space = "") {
    const entry = pool[place];
    if (typeof entry === "string") return document.createTextNode(entry);
    const [tag, attributes, ...children] = entry, name = pool[tag];
    const inside = name === "math" ? MATH : space;
    const made = inside ? document.createElementNS(inside, name) : document.createElement(name);
    const texts = pool[attributes].map(at => pool[at]);
    for (let at = 0; at < texts.length; at += 2) made.setAttribute(texts[at], texts[at + 1]);
    made.append(...children.map(child => build(pool, child, inside)));
    return made;
  }

  function chosen() {
    const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const wanted = { ...start, ...given };
    const known = key(wanted) in places;
    return { ...wanted, ...(known ? {} : { ...start, node: wanted.node }), at: names.indexOf(wanted.node) };
  }

  function go(change) {
    const { node, notation, form, lang } = { ...chosen(), ...change };
    const wanted = Object.entries({ node, notation, form, lang }).filter(([name, value]) => value !== start[name]);
    location.hash = new URLSearchParams(wanted);
  }

  async function show() {
    const now = chosen();
    if (key(now) !== shown) {
      const pool = await (table ??= unpacked());
      if (key(chosen()) !== key(now)) return; // something else has been chosen meanwhile
      document.getElementById("derivation").replaceWith(build(pool, places[key(now)]));
      shown = key(now);
    }
    document.documentElement.lang = now.lang;
    for (const each of document.querySelectorAll("[data-word]")) each.textContent = words[now.lang][each.dataset.word];
    for (const each of document.querySelectorAll("[data-label]")) each.ariaLabel = words[now.lang][each.dataset.label];
    vertices.forEach((vertex, at) => {
      const shape = shapes[now.notation][at];
      vertex.querySelector("title").textContent = [spoken[at], shape].filter(Boolean).join(", ");
      vertex.querySelector(".shape").textContent = shape;
    });
    showControls(now);
    showNode(now.at);
    document.getElementById("status").textContent = now.at < 0 ? words[now.lang].whole : names[now.at];
  }

  function showControls(now) {
    const reasons = new Set();
    for (const input of document.querySelectorAll("form input")) {
      const { notation, form } = { ...now, [input.name]: input.value };
      const reason = refused[`${notation} ${form}`];
      input.checked = now[input.name] === input.value;
      input.disabled = reason !== undefined;
      if (reason) reasons.add(reason);
    }
    document.getElementById("refused").replaceChildren(...[...reasons].map(reason => {
      const item = document.createElement("li");
      item.textContent = reason;
      return item;
    }));
  }

  function showNode(at) {
    document.body.classList.toggle("single", at >= 0);
    for (const article of main.querySelectorAll("article")) article.hidden = at >= 0 && +article.dataset.of !== at;
    for (const part of main.querySelectorAll("section")) part.hidden = at >= 0 && !part.querySelector("article:not([hidden])");
    vertices.forEach((vertex, place) => {
      if (place === at) vertex.setAttribute("aria-current", "true");
      else vertex.removeAttribute("aria-current");
    });
    for (const edge of edges) edge.classList.toggle("near", +edge.dataset.from === at || +edge.dataset.to === at);
    reach(Math.max(at, 0));
  }

  // One vertex is in the tabulator's order; arrows lead to the others.
  function reach(at) {
    vertices.forEach((vertex, place) => vertex.setAttribute("tabindex", place === at ? 0 : -1));
  }

  function beside(at, side) {
    const of = vertex => vertex.querySelector("rect"), x = vertex => +of(vertex).getAttribute("x") * side;
    const here = vertices[at], row = of(here).getAttribute("y");
    const there = vertices.filter(vertex => of(vertex).getAttribute("y") === row && x(vertex) > x(here));
    return vertices.indexOf(there.sort((a, b) => x(a) - x(b))[0]);
  }

  const steps = {
    ArrowDown: at => +(edges.find(edge => +edge.dataset.from === at)?.dataset.to ?? -1),
    ArrowUp: at => +(edges.find(edge => +edge.dataset.to === at)?.dataset.from ?? -1),
    ArrowLeft: at => beside(at, -1),
    ArrowRight: at => beside(at, 1),
    Home: () => 0,
    End: () => vertices.length - 1,
  };

  nav.addEventListener("keydown", event => {
    const at = vertices.indexOf(document.activeElement), step = steps[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    const to = step(at);
    if (to < 0) return;
    reach(to);
    vertices[to].focus();
  });
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") go({ node: "" });
  });
  document.addEventListener("click", event => {
    const link = event.target.closest("a[data-vertex]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go({ node: names[link.dataset.vertex] ?? "" });
    const { top } = main.getBoundingClientRect();
    if (top < 0 || top > innerHeight / 2) main.scrollIntoView();
  });
  document.querySelector("form").addEventListener("change", event => go({ [event.target.name]: event.target.value }));
  addEventListener("hashchange", show);
  document.documentElement.classList.add("live");
  show().then(() => vertices[chosen().at]?.scrollIntoView({ block: "center" }));
})();
