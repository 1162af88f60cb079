"""What a dataset's items are called: the one place that makes the words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Nouns:
    """One item, and several: "movie" and "movies"."""

    item: str = "item"
    items: str = "items"

    @property
    def an_item(self) -> str:
        """ "a movie", "an item"."""
        return f"{'an' if self.item[:1].lower() in 'aeiou' else 'a'} {self.item}"

    @property
    def head(self) -> str:
        """The noun at the head of a column: "Movie"."""
        return self.item[:1].upper() + self.item[1:]

    @property
    def heads(self) -> str:
        """The plural as a title: "Movies"."""
        return self.items[:1].upper() + self.items[1:]

    def count(self, number: int) -> str:
        """ "1 movie", "1,200 movies"."""
        return f"{number:,} {self.item if number == 1 else self.items}"

    def put_into(self, text: str) -> str:
        """`text` with {item}, {items}, {an_item}, {head} and {heads} written out."""
        return text.format(item=self.item, items=self.items, an_item=self.an_item, head=self.head, heads=self.heads)


def nouns_of(item: str) -> Nouns:
    """A noun with its plural: product, products; story, stories; dish, dishes."""
    if item.endswith("y") and item[-2:-1] not in "aeiou":
        return Nouns(item, f"{item[:-1]}ies")
    return Nouns(item, f"{item}es" if item.endswith(("s", "x", "ch", "sh")) else f"{item}s")


ITEMS = Nouns()
"""Where no dataset says better."""
MOVIES = nouns_of("movie")
"""Of MovieLens."""
