/**
 * What is used of busboy, to be loaded when it is wanted.
 *
 * Invariant: a package in CommonJS form is loaded through a file of ours that names what it gives:
 * loaded by itself it loses these names in the compiled program.
 */

export { Busboy } from "@fastify/busboy";
