"""What a paper claims, as differences between a study's arms, and whether the lines bear it out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from tf_diffaug.studies.intervals import CONFIDENCE, Interval, interval, readable, seeds_needed
from tf_diffaug.studies.results import Results

HOLDS, DOES_NOT, UNDECIDED = "holds", "does not hold", "not decided"
NOT_RUN = "not run"
RULE = (
    "A claim is one or more contrasts, each a sum over arms of runs that share a seed, written so "
    "that the paper says it is above 0. Over the seeds it has a mean and Student's "
    f"{CONFIDENCE:.0%} interval. It holds if the interval lies above 0, does not if it lies "
    "below, and is not decided otherwise. A claim holds if all its contrasts do, and does not if "
    "one does not; it is not run if no seed has any and no run of its arms diverged. A run that "
    "diverged has no number, so that a claim whose seeds all lost one is not decided. Contrasts "
    "whose arms the scale does not have are left out."
)
Term = tuple[float, str, str]


@dataclasses.dataclass(frozen=True)
class Contrast:
    """A sum that is above 0 if the paper is right.

    Args:
        text: what it is, in words.
        terms: weight, arm and metric of each part, see `results.value_of`.
        constant: what is added.
        study: whose arms they are, if not that of the claim.
    """

    text: str
    terms: tuple[Term, ...]
    constant: float = 0.0
    study: str = ""

    @property
    def arms(self) -> set[str]:
        """Those that it is of."""
        return {arm for _, arm, _ in self.terms}

    def values(self, results: Results) -> list[float]:
        """The sum for each seed that all its parts have."""
        parts = [(w, results.values(arm, metric)) for w, arm, metric in self.terms]
        seeds = sorted(set.intersection(*(set(values) for _, values in parts)))
        return [self.constant + sum(w * values[seed] for w, values in parts) for seed in seeds]


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim of a paper.

    Args:
        number: its row.
        text: what is claimed.
        source: where.
        study: what decides it.
        contrasts: that must all hold, as far as the scale has their arms.
    """

    number: str
    text: str
    source: str
    study: str
    contrasts: tuple[Contrast, ...]

    def arms(self, study: str) -> set[str]:
        """Those of a study that its contrasts are of."""
        mine = [c for c in self.contrasts if (c.study or self.study) == study]
        return set().union(*(contrast.arms for contrast in mine))

    def verdict(self, results_of: Callable[[str], Results]) -> Verdict:
        """What the lines say, by `RULE`.

        Args:
            results_of: from a study's name to what its lines say.
        """
        findings = []
        for contrast in self.contrasts:
            results = results_of(contrast.study or self.study)
            if contrast.arms <= {arm.name for arm in results.study.arms_at(results.scale)}:
                findings.append(_find(contrast, results))
        return Verdict(self, _together(findings), findings)


@dataclasses.dataclass(frozen=True)
class Finding:
    """A contrast's interval, None of fewer than two seeds, and what would decide it."""

    contrast: Contrast
    count: int
    interval: Interval | None
    needed: int | None
    diverged: Mapping[str, int]

    @property
    def is_run(self) -> bool:
        """Whether there is evidence: a seed that has it, or a run that diverged."""
        return bool(self.count or any(self.diverged.values()))

    @property
    def verdict(self) -> str:
        """By `RULE`."""
        if self.interval is None or self.interval.low <= 0 <= self.interval.high:
            return UNDECIDED
        return HOLDS if self.interval.low > 0 else DOES_NOT

    @property
    def words(self) -> str:
        """The interval and what it would take, on one line."""
        lost = "".join(f"; {n} run(s) of {arm} diverged" for arm, n in self.diverged.items() if n)
        if self.interval is None:
            return f"{self.count} seed(s), 2 are needed{lost}"
        mean, low, high, count = self.interval
        text = f"{readable(mean)} ({readable(low)} to {readable(high)}, {count} seeds){lost}"
        if self.verdict != UNDECIDED:
            return text
        needed = "more than 1,000" if self.needed is None else f"about {self.needed}"
        return f"{text}; with this mean and deviation {needed} seeds would decide"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the lines say of a claim."""

    claim: Claim
    verdict: str
    findings: Sequence[Finding]


def _together(findings: Sequence[Finding]) -> str:
    found = {finding.verdict for finding in findings}
    if DOES_NOT in found:
        return DOES_NOT
    if not any(finding.is_run for finding in findings):
        return NOT_RUN
    return HOLDS if found == {HOLDS} else UNDECIDED


def _find(contrast: Contrast, results: Results) -> Finding:
    values = contrast.values(results)
    found = interval(values) if values else None
    needed = None if found is None else seeds_needed(values)
    diverged = {arm: results.diverged(arm) for arm in sorted(contrast.arms)}
    return Finding(contrast, len(values), found, needed, diverged)


def above(metric: str, higher: str, lower: str, text: str = "") -> Contrast:
    """One arm's value is above another's: of an FID, the first is worse."""
    words = text or f"{metric} of {higher} above that of {lower}"
    return Contrast(words, ((1.0, higher, metric), (-1.0, lower, metric)))


def mean_above(metric: str, higher: Sequence[str], lower: Sequence[str], text: str) -> Contrast:
    """The mean over some arms is above the mean over others."""
    terms = [(1 / len(higher), arm, metric) for arm in higher]
    terms += [(-1 / len(lower), arm, metric) for arm in lower]
    return Contrast(text, tuple(terms))


def gains_more(metric: str, more: tuple[str, str], less: tuple[str, str], text: str) -> Contrast:
    """From the first to the second of a pair the value falls, by more than from one to another.

    Args:
        metric: what falls.
        more: the pair whose gain is said to be the larger.
        less: the other.
        text: in words.
    """
    terms = ((1.0, more[0], metric), (-1.0, more[1], metric))
    return Contrast(text, (*terms, (-1.0, less[0], metric), (1.0, less[1], metric)))
