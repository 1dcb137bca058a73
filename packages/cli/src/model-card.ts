import type { LoadedComposition } from "./loaded-composition.js";

/** Where a written model comes from. */
export interface Provenance {
  readonly base: { readonly name: string; readonly sha256: string };
  /** What was added to the base; null for a model that was only converted. */
  readonly composed: LoadedComposition | null;
}

/** What a file's metadata says of a model's origin. */
export function provenanceMetadata({ base, composed }: Provenance): Record<string, string> {
  const origin = { format: "pt", base: `${base.name} ${base.sha256}` };
  if (composed === null) return origin;
  const vectors = composed.vectors.map(({ vector, hash }) => ({ name: vector.name, sha256: hash }));
  return { ...origin, task_vectors: JSON.stringify(vectors), composition: composed.composition.id };
}

const DIGITS = 4;

/** Rows of the coefficient table: mean, smallest and largest of each task vector. */
function coefficientRows({ coefficients, vectors }: LoadedComposition): string[] {
  const values = coefficients["coef"] ?? new Float32Array();
  const each = values.length / Math.max(1, vectors.length);
  return vectors.map(({ vector, hash }, row) => {
    const own = [...values.subarray(row * each, (row + 1) * each)];
    const mean = own.reduce((sum, value) => sum + value, 0) / Math.max(1, own.length);
    const smallest = own.reduce((least, value) => Math.min(least, value), Infinity);
    const largest = own.reduce((most, value) => Math.max(most, value), -Infinity);
    const cells = own.length === 0 ? ["–", "–", "–"] : [mean, smallest, largest].map((value) => value.toFixed(DIGITS));
    return `| ${vector.name} | ${cells.join(" | ")} | ${hash} |`;
  });
}

/** The README.md of a model for other tools: what it is, what it was made from, and how to load it. */
export function modelCard(name: string, { base, composed }: Provenance, { hasText }: { hasText: boolean }): string {
  const made =
    composed === null
      ? ["This is the base model itself, in another format."]
      : [
          `Its image encoder is θ0 + Σ λᵢⱼ τᵢⱼ: the base plus task vectors, scaled by the coefficients of a composition of kind \`${composed.composition.id}\`.`,
          "",
          "| task vector | mean coefficient | smallest | largest | SHA-256 of its file |",
          "|---|---|---|---|---|",
          ...coefficientRows(composed),
          "",
          "All coefficients are in `composition.safetensors`, one row a task vector and, where there are columns, one column a parameter block.",
        ];
  const model = hasText ? "CLIPModel" : "CLIPVisionModelWithProjection";
  return [
    "---",
    "library_name: transformers",
    "pipeline_tag: zero-shot-image-classification",
    "tags: [clip, task-vectors, model-merging]",
    "---",
    "",
    `# ${name}`,
    "",
    "A CLIP model written by [aTLAS](https://arxiv.org/abs/2407.02880) for TypeScript.",
    "",
    `Base: ${base.name}, SHA-256 \`${base.sha256}\`.`,
    "",
    ...made,
    "",
    "```python",
    `from transformers import ${model}, CLIPImageProcessor`,
    `model = ${model}.from_pretrained(".")`,
    'processor = CLIPImageProcessor.from_pretrained(".")',
    "```",
    "",
    "The licence is that of the base model and of the data that the task vectors were trained on.",
    "",
  ].join("\n");
}
