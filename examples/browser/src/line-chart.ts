const SVG = "http://www.w3.org/2000/svg";

const WIDTH = 360;
const HEIGHT = 180;
const MARGIN = { left: 42, right: 10, top: 10, bottom: 24 } as const;

export interface Series {
  readonly name: string;
  /** Decides its colour: 1 or 2. */
  readonly style: 1 | 2;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  /** What a screen reader says instead of the picture. */
  readonly summary: string;
  readonly series: readonly Series[];
  /** Default 0 to the largest x. */
  readonly xEnd?: number;
  readonly xTitle: string;
  /** Default from 0 to the largest y. */
  readonly yEnd?: number;
  readonly yText: (y: number) => string;
}

function svg(tag: string, attributes: Readonly<Record<string, string | number>>, ...children: (Node | string)[]): SVGElement {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Lines over a common pair of axes that start at 0. */
export function lineChart({ summary, series, xEnd, xTitle, yEnd, yText }: Chart): SVGElement {
  const points = series.flatMap((own) => own.points);
  const right = xEnd ?? Math.max(1, ...points.map(([x]) => x));
  const top = yEnd ?? (Math.max(0, ...points.map(([, y]) => y)) || 1);
  const atX = (x: number): number => MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * x) / right;
  const atY = (y: number): number => HEIGHT - MARGIN.bottom - ((HEIGHT - MARGIN.top - MARGIN.bottom) * y) / top;

  const grid = [0, 0.5, 1].flatMap((share) => [
    svg("line", { class: "grid", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: atY(share * top), y2: atY(share * top) }),
    svg("text", { class: "tick", x: MARGIN.left - 6, y: atY(share * top) + 4, "text-anchor": "end" }, yText(share * top)),
  ]);
  const axis = [
    svg("text", { class: "tick", x: MARGIN.left, y: HEIGHT - 6 }, "0"),
    svg("text", { class: "tick", x: WIDTH - MARGIN.right, y: HEIGHT - 6, "text-anchor": "end" }, `${right} ${xTitle}`),
  ];
  const lines = series.flatMap(({ points: own, style, name }) => {
    const path = own.map(([x, y], at) => `${at === 0 ? "M" : "L"}${atX(x).toFixed(1)} ${atY(Math.min(y, top)).toFixed(1)}`).join("");
    const last = own.at(-1);
    const end = last === undefined ? [] : [svg("circle", { class: `dot series-${style}`, cx: atX(last[0]), cy: atY(Math.min(last[1], top)), r: 3 })];
    return [svg("path", { class: `line series-${style}`, d: path }, svg("title", {}, name)), ...end];
  });
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": summary }, ...grid, ...axis, ...lines);
}
