/** One drawing command of a font outline, in font units with y upwards. */
export type OutlineCommand =
  | { readonly type: "M" | "L"; readonly x: number; readonly y: number }
  | { readonly type: "Q"; readonly x1: number; readonly y1: number; readonly x: number; readonly y: number }
  | { readonly type: "C"; readonly x1: number; readonly y1: number; readonly x2: number; readonly y2: number; readonly x: number; readonly y: number }
  | { readonly type: "Z" };

/**
 * Closed straight-edged contours, fitted to the box −1…1: the larger side of the glyph fills it, the glyph
 * is centred, y points down. `edges` holds x0, y0, x1, y1 of each edge.
 */
export interface Outline {
  readonly edges: Float32Array;
  /** Half the glyph's width and height in that box; the larger one is 1. */
  readonly halfWidth: number;
  readonly halfHeight: number;
}

/** Maps (x, y) to (a·x + c·y + e, b·x + d·y + f). */
export type Placement = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** Straight pieces per curve: at 32 pixels more cannot be told apart. */
const PIECES = 6;

/** Horizontal sampling lines per pixel row; coverage along a line is exact. */
const LINES_PER_PIXEL = 5;

/** Turns font commands into an outline, or returns null where nothing would be drawn (a blank). */
export function outlineOf(commands: readonly OutlineCommand[]): Outline | null {
  const edges: number[] = [];
  let x = 0;
  let y = 0;
  let startX = 0;
  let startY = 0;
  const line = (toX: number, toY: number): void => {
    if (toX !== x || toY !== y) edges.push(x, -y, toX, -toY);
    x = toX;
    y = toY;
  };
  for (const command of commands) {
    switch (command.type) {
      case "M":
        line(startX, startY);
        x = startX = command.x;
        y = startY = command.y;
        break;
      case "L":
        line(command.x, command.y);
        break;
      case "Q":
      case "C": {
        const [x0, y0] = [x, y];
        const [x2, y2] = command.type === "C" ? [command.x2, command.y2] : [command.x1, command.y1];
        for (let piece = 1; piece <= PIECES; piece++) {
          const t = piece / PIECES;
          const s = 1 - t;
          // A quadratic curve is the middle control point used once instead of twice.
          const weights = command.type === "C" ? [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t] : [s * s, 2 * s * t, 0, t * t];
          line(
            weights[0]! * x0 + weights[1]! * command.x1 + weights[2]! * x2 + weights[3]! * command.x,
            weights[0]! * y0 + weights[1]! * command.y1 + weights[2]! * y2 + weights[3]! * command.y,
          );
        }
        break;
      }
      case "Z":
        line(startX, startY);
    }
  }
  line(startX, startY);
  return fitted(edges);
}

function fitted(edges: readonly number[]): Outline | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < edges.length; i += 2) {
    left = Math.min(left, edges[i]!);
    right = Math.max(right, edges[i]!);
    top = Math.min(top, edges[i + 1]!);
    bottom = Math.max(bottom, edges[i + 1]!);
  }
  const half = Math.max(right - left, bottom - top) / 2;
  if (!(half > 0)) return null;
  const [middleX, middleY] = [(left + right) / 2, (top + bottom) / 2];
  return {
    edges: Float32Array.from(edges, (value, i) => (value - (i % 2 === 0 ? middleX : middleY)) / half),
    halfWidth: (right - left) / 2 / half,
    halfHeight: (bottom - top) / 2 / half,
  };
}

/** One contour point where a sampling line enters (+1) or leaves (−1) the glyph. */
interface Crossing {
  readonly x: number;
  readonly winding: number;
}

/**
 * Fills an outline (non-zero winding rule) into a mask of `size` × `size`, 0…255, antialiased.
 * `place` maps the outline's box to pixels; what falls outside is cut.
 */
export function rasterise(outline: Outline, place: Placement, size: number): Uint8Array {
  const lines: Crossing[][] = Array.from({ length: size * LINES_PER_PIXEL }, () => []);
  const [a, b, c, d, e, f] = place;
  const { edges } = outline;
  for (let i = 0; i < edges.length; i += 4) {
    const x0 = a * edges[i]! + c * edges[i + 1]! + e;
    const y0 = (b * edges[i]! + d * edges[i + 1]! + f) * LINES_PER_PIXEL;
    const x1 = a * edges[i + 2]! + c * edges[i + 3]! + e;
    const y1 = (b * edges[i + 2]! + d * edges[i + 3]! + f) * LINES_PER_PIXEL;
    const [top, bottom] = y0 < y1 ? [y0, y1] : [y1, y0];
    // Line n samples at height n + ½ and owns the half-open span, so that shared corners count once.
    const last = Math.min(lines.length, Math.ceil(bottom - 0.5));
    for (let line = Math.max(0, Math.ceil(top - 0.5)); line < last; line++) {
      lines[line]!.push({ x: x0 + ((line + 0.5 - y0) * (x1 - x0)) / (y1 - y0), winding: y0 < y1 ? 1 : -1 });
    }
  }
  const coverage = new Float32Array(size * size);
  lines.forEach((crossings, line) => {
    crossings.sort((left, right) => left.x - right.x);
    const row = Math.floor(line / LINES_PER_PIXEL) * size;
    let winding = 0;
    for (let i = 0; i + 1 < crossings.length; i++) {
      winding += crossings[i]!.winding;
      if (winding !== 0) addSpan(coverage, row, size, crossings[i]!.x, crossings[i + 1]!.x);
    }
  });
  return Uint8Array.from(coverage, (value) => Math.min(255, Math.round((value * 255) / LINES_PER_PIXEL)));
}

function addSpan(coverage: Float32Array, row: number, size: number, from: number, to: number): void {
  const start = Math.max(0, from);
  const end = Math.min(size, to);
  for (let x = Math.floor(start); x < end; x++) {
    coverage[row + x]! += Math.min(end, x + 1) - Math.max(start, x);
  }
}

/** Rotation (radians), scales and shear about the origin, then a shift to (x, y). */
export function placement(options: {
  readonly scaleX: number;
  readonly scaleY?: number;
  readonly angle?: number;
  readonly shear?: number;
  readonly x: number;
  readonly y: number;
}): Placement {
  const { scaleX, scaleY = scaleX, angle = 0, shear = 0, x, y } = options;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  // Rotation · shear · scale.
  return [cos * scaleX, sin * scaleX, (cos * shear - sin) * scaleY, (sin * shear + cos) * scaleY, x, y];
}
