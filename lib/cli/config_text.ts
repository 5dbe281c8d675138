/**
 * What the configuration files that we write have in common.
 *
 * Invariant: the schema is a file beside the configuration, made by `supervisor schema`: nothing is
 * fetched from anywhere.
 */

/** Where editors look for the schema. */
export const SCHEMA_FILE = "supervisor.schema.json";

/** The comment by which editors find it, without `#`. */
export const SCHEMA_LINE = `yaml-language-server: $schema=./${SCHEMA_FILE}`;

/** How the schema file comes about. */
export const SCHEMA_HINT = `supervisor schema > ${SCHEMA_FILE}`;
