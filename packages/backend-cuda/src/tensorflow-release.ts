/** A TensorFlow wheel: its project on the Python package index, and the hash of its file. */
export interface Wheel {
  readonly project: string;
  readonly sha256: string;
  /** Bytes of the download and of what is kept of it, for the check of free disk space. */
  readonly bytes: number;
  readonly unpackedBytes: number;
}

/** What TensorFlow was built for: the CPU alone, or also CUDA. */
export type RuntimeKind = "cpu" | "cuda";

/** Versions of NVIDIA's software, as far as they are known. */
export interface CudaVersions {
  readonly cuda: string;
  readonly cudnn: string;
}

/**
 * The release whose wheels were proven to export every function of TensorFlow's C API that the addon of tfjs-node 4.22
 * calls (in libtensorflow_cc.so.2 and libtensorflow_framework.so.2) and to bring its headers. CUDA and cuDNN are those
 * it was built with, the driver is the oldest that runs CUDA 12 on Linux.
 */
export const RELEASE = {
  version: "2.15.1",
  cuda: { cuda: "12.2", cudnn: "8" } satisfies CudaVersions,
  driver: "525.60.13",
  /** Tags of the files, whatever Python is there: only C headers and libraries are taken from them. */
  python: "3.11",
  abi: "cp311",
  platform: "manylinux2014_x86_64",
  wheels: {
    cpu: {
      project: "tensorflow-cpu",
      sha256: "54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26",
      bytes: 207_208_420,
      unpackedBytes: 620_000_000,
    },
    cuda: {
      project: "tensorflow",
      sha256: "bb0edd69103c154245c5f209f0507355cc68ba7e4de350084bc31edc562478e4",
      bytes: 475_258_663,
      unpackedBytes: 1_040_000_000,
    },
  } satisfies Record<RuntimeKind, Wheel>,
} as const;

/** The npm package that holds the addon's sources and its JavaScript side. */
export const ADDON_PACKAGE = "@tensorflow/tfjs-node-gpu";

/** What that package's own install script fetches: libtensorflow 2.9 for CUDA 11.2. */
export const INSTALLED_CUDA: CudaVersions = { cuda: "11.2", cudnn: "8" };

/** The libraries that TensorFlow opens when it looks for a GPU, by CUDA's major version. */
export function cudaLibraries({ cuda, cudnn }: CudaVersions): string[] {
  const major = Number.parseInt(cuda, 10);
  const sonames: Readonly<Record<number, readonly string[]>> = {
    11: ["libcudart.so.11.0", "libcublas.so.11", "libcublasLt.so.11", "libcufft.so.10", "libcusolver.so.11", "libcusparse.so.11"],
    12: ["libcudart.so.12", "libcublas.so.12", "libcublasLt.so.12", "libcufft.so.11", "libcusolver.so.11", "libcusparse.so.12"],
  };
  return [...(sonames[major] ?? [`libcudart.so.${major}`]), `libcudnn.so.${Number.parseInt(cudnn, 10)}`];
}
