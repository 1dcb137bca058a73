/** The package that has a small model to start with. */
export const ZOO_PACKAGE = "@atlas-tv/zoo";

interface Zoo {
  /** Name of its one model. */
  readonly ZOO_MODEL: string;
  /** The folder of its models. */
  zooCheckpoints(): string;
  /** The folder where a checkout keeps its data sets. */
  zooData(): string;
}

/** The zoo, where it is installed. */
export async function zoo(): Promise<Zoo | null> {
  try {
    return (await import(ZOO_PACKAGE)) as Zoo;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND") return null;
    throw error;
  }
}
