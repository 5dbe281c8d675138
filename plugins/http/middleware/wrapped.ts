/**
 * An exchange around another one: everything goes through to it but what a middleware overrides.
 *
 * Invariant: one and the same exchange for the front and for the handler: what either sees is the
 * state of the innermost, but that a middleware may have begun an answer before it.
 */

import type {
  Body,
  ByteTunnel,
  ClientAddress,
  Exchange,
  RequestHead,
  ResponseHead,
} from "../../../lib/http/mod.ts";

/** See the file's comment. */
export class WrappedExchange implements Exchange {
  /** An answer is on its way that the inner exchange does not know of yet. */
  protected begun = false;

  constructor(protected readonly inner: Exchange) {}

  get method(): string {
    return this.inner.method;
  }
  get target(): string {
    return this.inner.target;
  }
  get head(): RequestHead {
    return this.inner.head;
  }
  get client(): ClientAddress {
    return this.inner.client;
  }
  get tls(): boolean {
    return this.inner.tls;
  }
  get body(): Body {
    return this.inner.body;
  }
  get upgradable(): boolean {
    return this.inner.upgradable;
  }
  get gone(): boolean {
    return this.inner.gone;
  }
  get onGone(): (() => void) | undefined {
    return this.inner.onGone;
  }
  set onGone(tell: (() => void) | undefined) {
    this.inner.onGone = tell;
  }
  get answered(): boolean {
    return this.begun || this.inner.answered;
  }

  interim(head: ResponseHead): Promise<void> {
    return this.inner.interim(head);
  }

  respond(head: ResponseHead, body: Body, close?: boolean): Promise<void> {
    return this.inner.respond(head, body, close);
  }

  upgrade(head: ResponseHead): Promise<ByteTunnel | undefined> {
    return this.inner.upgrade(head);
  }

  cut(): void {
    this.inner.cut();
  }
}
