/**
 * A command line split into words, with quotes as a shell understands them and nothing else of a
 * shell: no variables, no globs, no operators.
 *
 * | in        | meaning                                                    |
 * | --------- | ---------------------------------------------------------- |
 * | blanks    | end a word                                                 |
 * | `'…'`     | as it stands                                               |
 * | `"…"`     | as it stands, but `\"` and `\\` are the character itself   |
 * | `\x`      | x (outside quotes)                                         |
 *
 * Invariant: joining nothing is ever lost: an empty pair of quotes is an empty word, and a quote that
 * is not closed is a problem, never a guess.
 */

/** The words, or what is wrong, as a predicate: `has a quote that is not closed: …`. */
export function splitWords(text: string): string[] | { problem: string } {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quote !== "") {
      if (char === quote) quote = "";
      else if (quote === '"' && char === "\\" && '"\\'.includes(text[i + 1] ?? " ")) {
        word += text[++i];
      } else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= "";
    } else if (char === "\\" && i + 1 < text.length) word = (word ?? "") + text[++i];
    else if (!/\s/.test(char)) word = (word ?? "") + char;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (quote !== "") {
    return { problem: `has a quote ${quote} that is not closed: ${JSON.stringify(text)}` };
  }
  if (word !== undefined) words.push(word);
  return words.length > 0 ? words : { problem: "is empty" };
}
