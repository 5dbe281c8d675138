/**
 * What is used of prom-client, to be loaded when it is wanted.
 *
 * Invariant: a package in CommonJS form is loaded through a file of ours that names what it gives:
 * loaded by itself it loses these names in the compiled program.
 */

export { Counter, Gauge, Histogram, Registry, Summary } from "prom-client";
