/** Undoes what was acquired, the last first. Each part is registered where it is acquired. */
export class Scope {
  #undo: (() => unknown)[] = [];

  /** Has `undo` called when the scope closes. */
  defer(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  /** Calls everything that was registered, also when one of them fails; throws the first failure at the end. */
  async close(): Promise<void> {
    let failure: unknown;
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }
}
