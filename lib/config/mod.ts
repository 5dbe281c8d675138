/** Public face of the configuration floor. */
export { compare, type CompareSection } from "./compare.ts";
export { readDotenv } from "./dotenv.ts";
export { findConfig } from "./file.ts";
export { readIdentity } from "./identity.ts";
export { jsonSchema } from "./json_schema.ts";
export { type Diagnostic, problemsJson, renderProblems } from "./problem.ts";
export { read, readOrFail, type ReadRequest, type ReadResult, type Sections } from "./read.ts";
export type { SectionPlace, SectionProblem, SectionSchema } from "./sections.ts";
