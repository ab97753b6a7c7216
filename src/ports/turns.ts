/** Has what is given to it done one after the other, in the order in which it came, whatever becomes of each. */
export function turns(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const result = last.then(act);
    last = result.catch(() => {}); // whoever gave `act` gets it
    return result;
  };
}
