// The page as it is seen: its parts, whether any leaves the window, and how well its text stands out.
() => {
  const box = element => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x, y, width, height };
  };
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const text = element => element.innerText.trim();

  // By WCAG 2: 4.5 is enough for text of any size.
  const channels = color => color.match(/[\d.]+/g).map(Number);
  const light = color => {
    const [r, g, b] = channels(color).map(c => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    const color = getComputedStyle(element).backgroundColor;
    return channels(color)[3] === 0 && element.parentElement ? ground(element.parentElement) : color;
  };
  const contrast = element => {
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(ink), light(ground(element))].sort((a, b) => b - a);
    return (a + 0.05) / (b + 0.05);
  };
  const bearsText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const shown = all("body *").filter(element => !element.closest("details:not([open]) > :not(summary)"));
  const faintest = shown
    .filter(bearsText)
    .map(element => ({ element: `${element.tagName} ${element.className.baseVal ?? element.className}`, contrast: contrast(element) }))
    .sort((a, b) => a.contrast - b.contrast)[0];

  const edge = document.documentElement.clientWidth;
  const leaves = shown
    .filter(element => { const { x, width } = box(element); return width > 0 && (x < -0.5 || x + width > edge + 0.5); })
    .map(element => `${element.tagName} ${(element.textContent ?? "").trim().slice(0, 40)}`);

  // Cells of a letter or two a line.
  const squeezed = all("th, td").filter(cell => cell.clientWidth < 90 && cell.clientHeight > 90).map(text);

  return {
    squeezed,
    scrolls: document.documentElement.scrollWidth > edge,
    leaves,
    faintest,
    background: getComputedStyle(document.body).backgroundColor,
    title: document.title,
    headings: all("h1, h2").map(text),
    facts: Object.fromEntries(all("tr").filter(row => row.cells.length === 2).map(row => [text(row.cells[0]), text(row.cells[1])])),
    metrics: all("table.metrics tr").slice(1).map(row => [...row.cells].map(text)),
    phases: all(".bar").map(bar => ({ name: text(bar.closest("tr").cells[0]), ...box(bar), timeline: box(bar.closest("td")) })),
    plots: all("figure").map(figure => {
      const line = figure.querySelector("polyline");
      return { name: text(figure.querySelector("figcaption")), svg: box(figure.querySelector("svg")), line: line && box(line) };
    }),
    preformatted: all("pre").map(text),
  };
}
