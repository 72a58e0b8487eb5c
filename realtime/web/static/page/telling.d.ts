/** `EventTarget`, for classes that extend it and tell by their events what `Details` has for each type. */
export interface Telling<Details> {
  new (): TellingTarget<Details>;
}

interface TellingTarget<Details> extends EventTarget {
  addEventListener<Type extends keyof Details>(type: Type, listener: (event: CustomEvent<Details[Type]>) => void): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions,
  ): void;
}
