/**
 * Sums a counter over a page of Prometheus' text format.
 * In: the page and the name of a series. Out: the sum over its labels; undefined when the page has no such series.
 * Source: Prometheus text exposition format 0.0.4.
 */
export function sumOf(page: string, series: string): number | undefined {
  const values = page.split('\n').flatMap((line) => {
    if (!line.startsWith(series)) return [];
    const rest = line.slice(series.length);
    // A longer name begins with this one, too.
    if (!rest.startsWith('{') && !rest.startsWith(' ')) return [];
    return Number(
      rest
        .slice(rest.lastIndexOf('}') + 1)
        .trim()
        .split(' ', 1)[0],
    );
  });
  return values.length === 0 ? undefined : values.reduce((a, b) => a + b, 0);
}
