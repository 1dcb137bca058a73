import type { TopLevelSpec } from "vega-lite";

/** One cell of a matrix that is drawn. */
export interface Cell {
  readonly row: string;
  readonly column: string;
  readonly value: number;
}

export interface MatrixPlot {
  readonly title: string;
  readonly cells: readonly Cell[];
  /** Rows and columns in the order in which they are drawn. */
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly rowTitle: string;
  readonly columnTitle: string;
  /** Least and largest value of the colours; symmetric ones get two hues. */
  readonly range: readonly [number, number];
}

/** A matrix with a colour and a number in every cell. */
export function matrixPlot({ title, cells, rows, columns, rowTitle, columnTitle, range }: MatrixPlot): TopLevelSpec {
  const isSymmetric = range[0] < 0;
  const middle = (range[0] + range[1]) / 2;
  const dark = isSymmetric ? `abs(datum.value) > ${0.6 * range[1]}` : `datum.value > ${middle}`;
  return {
    title,
    data: { values: cells.map((cell) => ({ ...cell })) },
    width: { step: 56 },
    height: { step: 32 },
    encoding: {
      y: { field: "row", type: "nominal", sort: [...rows], title: rowTitle },
      x: { field: "column", type: "nominal", sort: [...columns], title: columnTitle },
    },
    layer: [
      {
        mark: "rect",
        encoding: {
          color: {
            field: "value",
            type: "quantitative",
            scale: { domain: [...range], scheme: isSymmetric ? "redblue" : "blues" },
            legend: null,
          },
        },
      },
      {
        mark: { type: "text", fontSize: 10 },
        encoding: {
          text: { field: "value", type: "quantitative", format: ".2f" },
          color: { condition: { test: dark, value: "white" }, value: "black" },
        },
      },
    ],
  };
}

/** A plot as SVG, without any DOM; nothing but plots needs the library, which is large. */
export async function svgOf(plot: TopLevelSpec): Promise<string> {
  const [vega, { compile }] = await Promise.all([import("vega"), import("vega-lite")]);
  const view = new vega.View(vega.parse(compile(plot).spec), { renderer: "none" });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}
