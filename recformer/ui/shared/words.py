"""Words and numbers as the app shows them: formats, state labels, and two-line explanations of the field's terms."""

from html import escape

from recformer.data.nouns import ITEMS, Nouns
from recformer.errors import RecformerError
from recformer.logs.bounds import printable, visible

EXPLAIN = {
    "ndcg": "Normalised discounted cumulative gain: 1 when the held-out {item} is first, less the further down it is.",
    "mrr": "Mean reciprocal rank: 1 for rank 1, 1/2 for rank 2, 0 beyond k.",
    "map": "Mean average precision. With one held-out {item} a user it equals MRR. "
    "(The article's MAP is the hit rate.)",
    "hr": "Hit rate: share of users whose held-out {item} is in the top k. The article calls this MAP.",
    "recall": "Share of the {items} held out together that are in the top k, mean over users.",
    "duplication": "Share of the top k that is in the user's input window (their latest {items}), nothing masked.",
    "k": "The length of the list: NDCG@10 looks at each user's first ten {items}.",
    "masking": "What is taken out of the ranking first. history: all {items} the user had before, as an app would. "
    "window: the input window only, as in the article. none: nothing.",
    "interval": "95% interval over users: how far the mean would move with other users of the same kind.",
    "difference": "Mean difference to the reference on the same users, with its own interval; coloured only when it "
    "is significant after correction.",
    "primary": "The one metric that decides, chosen before looking. Its differences to the reference are corrected for "
    "the number of models, whatever else is shown. All other figures are exploratory.",
    "chosen": "Chosen by NDCG@10 on the validation part, among runs of one dataset and split: being chosen "
    "flatters it. The test, a last step that Compare takes, tells how good the choice is.",
    "detectable": "The smallest true difference that this number of users would show as significant 8 times of 10. "
    "Not told apart does not mean equal; equal is said only within a margin.",
    "power": "The smallest true difference that is found significant 8 times of 10, by itself and after the correction "
    "of a usual comparison: four models and all baselines. A smaller one takes more users, not more training.",
    "margin": "A difference of the primary metric that does not matter to you. Where the 90% interval of a difference "
    "lies within it, the models are called equivalent (two one-sided tests).",
    "recent": "How many of a user's latest {items} count as the window, where it is masked and where repeats in it "
    "are counted. How many a model reads is its own affair.",
    "users": "Everybody who is held out, or a sample by a draw of their ids, which is the same for ever.",
    "protocol": "Everything that must be equal before two numbers may stand in one table.",
    "about": "recipes: several seeds of each were compared, or nothing was trained, so the difference holds for other "
    "seeds too. models: these two as they were trained; another seed may differ.",
    "corrected": "With many comparisons some look clear by chance. Stars count what is left after correction (max-T, "
    "which knows how the differences hang together; Holm where seeds have a say), "
    "over the primary differences, and apart from them over all others of a kind, shown or not: * p < .05, ** p < .01, "
    "*** p < .001.",
    "effect_size": "The mean difference in units of how much users differ (Cohen's d for pairs): 0.2 is small, "
    "0.8 large.",
    "novelty": "Mean surprise of the recommended {items} in bits: −log2 of their share of all interactions.",
    "popularity": "Share of the users who had a recommended {item}, on average.",
    "diversity": "How different the {items} of one list are in this column: 0 all alike, 1 nothing in common.",
    "coverage": "Share of the catalogue that at least one user is shown.",
    "gini": "How unequally recommendations are spread over the catalogue: 0 all alike, near 1 a few {items} take all.",
    "slices": "The same figure for groups of users and {items}. Groups of few cases or hits say little and are grey.",
    "trade_off": "Models on the line are not beaten at both: no other one is more accurate and repeats less.",
    "scatter": "One point a held-out {item}: how far down each of two models has it. Below the diagonal the model of "
    "the vertical axis is better, above it the other one.",
    "split": "leave_last_out: each user's last {item} is the test. random_windows: the article's, optimistic. "
    "global_temporal: everything after one date.",
    "shuffle": "How much of NDCG@10 sequential rules lose when each history is put into a random order: nothing where "
    "order says nothing, most of it where it says most.",
    "part": "validation: for choosing among models, as often as you like; it also chose each checkpoint. test: the "
    "last step, to say how good the choice is; whoever chooses by it flatters the choice. Looks at it are counted.",
    "split_facts": "What makes a split easier or harder than it looks: training on what came later, histories entered "
    "at once, and users or {items} that nobody has seen in training.",
    "time_ties": "Which of a user's interactions at one time is the later one. file: the later line. hash: a seeded "
    "order that no counting can learn. as_set: all of them are looked for together.",
}
MORE = "\n\nMore in docs/EVALUATION.md."
STATE_MARKS = {
    "queued": ":gray[:material/schedule: queued]",
    "starting": ":blue[:material/hourglass_top: starting]",
    "running": ":blue[:material/play_arrow: running]",
    "stopping": ":orange[:material/pause: stopping]",
    "finished": ":green[:material/check_circle: finished]",
    "stopped": ":orange[:material/stop_circle: stopped]",
    "failed": ":red[:material/error: failed]",
    "lost": ":red[:material/help: lost]",
    "imported": ":gray[:material/download: imported]",
}


def explain(term: str, nouns: Nouns = ITEMS) -> str:
    """Help text of a term, in the words of a dataset."""
    return nouns.put_into(EXPLAIN[term]) + MORE


def duration(seconds: float | None) -> str:
    """Seconds as people say them: "45 s", "6 min", "2 h 5 min"; "–" where it is not known."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def number(value: float | None) -> str:
    """Three significant digits: 0.0512, 12.3, 8,910; "–" where there is none."""
    if value is None or value != value:
        return "–"
    if value == 0:
        return "0"
    if 1000 <= abs(value) < 1e12:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if 1e-4 <= abs(value) < 1000 else f"{value:.2e}"


def memory(size: int) -> str:
    """Bytes as "812 MB" or "3.1 GB"."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def as_text(text: str) -> str:
    """Text of unknown origin for a chart: Plotly reads tags and `&lt;`, but shows `&quot;` as it stands."""
    return escape(printable(text), quote=False)


def plain(text: str) -> str:
    """Text of unknown origin (names, titles) with what Markdown would read as markup made harmless."""
    text = visible(text.replace("\n", " "))
    for character in "\\`*_{}[]<>#|$~:":
        text = text.replace(character, "\\" + character)
    return text


def message_of(error: RecformerError) -> str:
    """What a page shows of an error, with what to do about it there."""
    return plain(error.on_page)
