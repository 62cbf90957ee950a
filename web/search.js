/*
 * The query's side of web/search.py, and mends of Sphinx's searchtools.js:
 *
 * - Every word counts. Sphinx takes words of one or two characters to be absent from the index, and
 *   so lets pages pass that lack some of the others; all words of a Japanese query are that short.
 * - A query for "constructor" does not meet JavaScript's own.
 * - A result names and opens the section and is listed once. KaTeX puts each formula into a page
 *   three times, as MathML, as TeX, and as HTML: the excerpt has it once, on a line.
 * - Over file:// a browser refuses to fetch the pages: results then come without excerpts.
 *
 * The index is fetched only for a query. It is larger than the page.
 */

function foldQuery(text) {
  return text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").normalize("NFC");
}

/* Words as a reader sees them; web/search.py has the same rule. */
function wordsOfQuery(query) {
  const words = foldQuery(query).match(/[CJK_RANGES]+|(?:(?![CJK_RANGES])[\p{L}\p{N}_])+/gu);
  return (words || []).filter((word) => /[^_]/.test(word));
}

var splitQuery = (query) =>
  wordsOfQuery(query).flatMap((word) =>
    word.length > 1 && /[CJK_RANGES]/.test(word)
      ? Array.from({ length: word.length - 1 }, (_, i) => word.slice(i, i + 2))
      : [word]
  );

(() => {
  const EXCERPT = 240;
  const DOTTED = 10;
  const LEFT_OUT = ".headerlink, script, style, button, summary, nav";
  const HEADINGS = "h1, h2, h3, h4, h5, h6";
  const OWN_KEYS = Object.create(null, {
    hasOwnProperty: { value: Object.prototype.hasOwnProperty },
  });
  const { setIndex, _parseQuery, _performSearch, performTermsSearch } = Search;
  let phrase = "";
  let words = [];

  const escapeHTML = (text) => {
    const element = document.createElement("span");
    element.textContent = text;
    return element.innerHTML;
  };

  /* The same text, as long as before, in the form in which queries are. */
  const foldInPlace = (text) =>
    text.replace(/[^\x00-\x7f]/g, (c) => foldQuery(c).charAt(0) || c).toLowerCase();

  const stem = (word) => new Stemmer().stemWord(word);

  Search.setIndex = (index) => {
    for (const table of [index.terms, index.titleterms]) Object.setPrototypeOf(table, OWN_KEYS);
    setIndex(index);
  };

  Search._parseQuery = (query) => {
    const parsed = _parseQuery(query);
    phrase = foldQuery(query.trim()).toLowerCase();
    words = wordsOfQuery(query)
      .map((word) => word.toLowerCase())
      .filter((word) => !stopwords.includes(word))
      .map((word) => ({
        word,
        // A single letter would light up all over the page.
        telling: word.length > 2 || /[CJK_RANGES]/.test(word),
        stem: new RegExp(`(?<![\\p{L}\\p{N}_])${_escapeRegExp(stem(word))}`, "u"),
      }));
    const lit = words.filter(({ telling }) => telling).map(({ word }) => word);
    if (SPHINX_HIGHLIGHT_ENABLED) localStorage.setItem("sphinx_highlight_terms", lit.join(" "));
    parsed[3] = new Set(lit);
    return parsed;
  };

  Search.performTermsSearch = (searchTerms, excludedTerms) => {
    const pages = (words) => performTermsSearch(new Set(words), excludedTerms);
    const found = [...searchTerms].map((word) => new Set(pages([word]).map(([name]) => name)));
    return pages(searchTerms).filter(([name]) => found.every((names) => names.has(name)));
  };

  /* A result is [page, title, anchor, description, score, file]; Sphinx takes the best one last. */
  Search._performSearch = (...query) => {
    const { docnames, titles, alltitles, terms } = Search._index;
    const sections = new Map();
    for (const [title, places] of Object.entries(alltitles))
      for (const [file, id] of places) if (id) sections.set(`${docnames[file]}#${id}`, title);
    const dotted = phrase.includes(".") ? stem(phrase) : "";
    const places = new Map();
    for (const result of _performSearch(...query)) {
      const file = docnames.indexOf(result[0]);
      const place = result[0] + result[2];
      if (sections.has(place)) result[1] = `${titles[file]} › ${escapeHTML(sections.get(place))}`;
      // Its words are on many pages, np.convolve itself on few.
      if ([terms[dotted]].flat().includes(file)) result[4] += DOTTED;
      if (!(places.get(place)?.[4] > result[4])) places.set(place, result);
    }
    const results = [...places.values()];
    const inSections = new Set(results.filter((result) => result[2]).map((result) => result[0]));
    return results
      .filter((result) => result[2] || !inSections.has(result[0]))
      .sort((a, b) => a[4] - b[4] || (a[0] < b[0] ? 1 : -1));
  };

  /* How well a text answers the query: words that stand in it, more for more often. */
  const worth = (text) =>
    words.reduce(
      (sum, { word, telling, stem }) => {
        const times = telling ? text.split(word).length - 1 : 0;
        return sum + (times ? 2 + Math.min(times, 9) / 10 : Number(stem.test(text)) / 2);
      },
      text.includes(phrase) ? 2 : 0
    );

  const firstPlace = (text) => {
    const telling = words.filter((entry) => entry.telling);
    return [
      text.indexOf(phrase),
      ...telling.map(({ word }) => text.indexOf(word)),
      ...telling.map(({ stem }) => text.search(stem)),
      0,
    ].find((place) => place >= 0);
  };

  /* A formula's MathML as a line of text: e^(z_i)/∑_j e^(z_j). */
  const formula = (node) => {
    const parts = [...node.children].map(formula);
    const [base, second, third] = parts.map((part) => (part.length > 1 ? `(${part})` : part));
    const space = node.firstElementChild?.localName === "mo" ? " " : "";
    switch (node.localName) {
      case "msub":
      case "munder":
        return `${parts[0]}_${second}${space}`;
      case "msup":
        return `${parts[0]}^${second}${space}`;
      case "msubsup":
      case "munderover":
        return `${parts[0]}_${second}^${third}${space}`;
      case "mfrac":
        return `${base}/${second}`;
      case "annotation":
        return "";
      default:
        return parts.length ? parts.join("") : node.textContent;
    }
  };

  /* The section of the page that answers best, without the sections inside it. */
  const bestSection = (page, anchor) => {
    page.querySelectorAll(LEFT_OUT).forEach((element) => element.remove());
    page.querySelectorAll(".katex").forEach((element) => {
      element.textContent = formula(element.querySelector("math"));
    });
    const main = page.querySelector("article") || page.querySelector('[role="main"]') || page.body;
    const wanted = anchor && page.getElementById(anchor.slice(1));
    const sections = wanted ? [wanted] : [...main.querySelectorAll("section[id]")];
    let best = null;
    for (const section of sections) {
      const title = section.querySelector(HEADINGS)?.textContent ?? "";
      const own = section.cloneNode(true);
      own.querySelectorAll(`section, ${HEADINGS}`).forEach((element) => element.remove());
      const text = own.textContent.replace(/\s+/g, " ").trim();
      const value = worth(foldInPlace(text)) + 2 * worth(foldInPlace(title));
      if (!best || value > best.value) best = { section, title, text, value };
    }
    return best;
  };

  const excerpt = (text) => {
    const start = firstPlace(foldInPlace(text));
    const from = start < 80 ? 0 : text.lastIndexOf(" ", start - 60) + 1;
    const rest = text.slice(from);
    const space = rest.lastIndexOf(" ", EXCERPT);
    const end = rest.length <= EXCERPT ? rest.length : space > EXCERPT / 2 ? space : EXCERPT;
    return (from ? "… " : "") + rest.slice(0, end) + (end < rest.length ? " …" : "");
  };

  Search.makeSearchSummary = (htmlText, searchTerms, anchor) => {
    const best = bestSection(new DOMParser().parseFromString(htmlText, "text/html"), anchor);
    if (!best) return null;
    const summary = document.createElement("p");
    summary.classList.add("context");
    summary.textContent = excerpt(best.text);
    // Sphinx puts the excerpt below its link in this same step.
    if (!anchor && best.section.parentElement.closest("section"))
      queueMicrotask(() => {
        const link = summary.parentElement.querySelector("a");
        link.hash = best.section.id;
        link.append(` › ${best.title}`);
      });
    return summary;
  };

  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  Object.assign(Documentation.TRANSLATIONS, {
    "Search finished, found ${resultCount} page(s) matching the search query.":
      "Places found: ${resultCount}",
    "Your search did not match any documents. Please make sure that all words are spelled correctly and that you've selected enough categories.":
      "No page has all of these words.",
  });

  _ready(() => {
    if (new URLSearchParams(location.search).get("q"))
      Search.loadIndex(`${document.documentElement.dataset.content_root}searchindex.js`);
  });
})();
