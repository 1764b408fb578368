"""Phrases for single inputs, by the pattern of their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from hwds.results.formatting import brief, fixed, percent

Groups = Mapping[str, str]
Say = Callable[[float, Groups], str]

WINDOW = r"_(?P<days>\d+)d(?:ay_window)?"
OVER = r"(?:_(?P<days>\d+)d)?"
PLACE = r"(?P<place>[a-z][a-z_]*?)"

COUNTED = {
    "quantity": ("bought", "buy", "units"),
    "orders": ("placed", "place", "orders"),
    "amount": ("spent", "spend", ""),
    "skus": ("bought", "buy", "different devices"),
    "stores": ("bought in", "buy in", "stores"),
    "channels": ("bought through", "buy through", "channels"),
}
"""For a sum over a window the verb, that of peers, and the noun that is counted."""


def number(value: float) -> str:
    """Return a number as people write it: three digits, and no decimals that are zeros."""
    if abs(value) >= 1000:
        return fixed(value, 0)
    shown = brief(value)
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def counts(value: float, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 order`, `41 units`, `2.5 units`."""
    return f"{number(value)} {one if value == 1 else many or f'{one}s'}"


def span(days: str) -> str:
    """Return a number of days in words: `a day`, `30 days`."""
    return "a day" if days == "1" else f"{days} days"


def _time(days: float) -> str:
    """Return a duration: `4 minutes`, `30 hours`, `42 days`."""
    for size, unit in ((2.0, "day"), (1 / 12, "hour")):
        if days >= size:
            return counts(float(round(days if unit == "day" else 24 * days)), unit)
    return counts(float(round(1440 * days)), "minute")


def _sum(what: str) -> Say:
    verb, _, noun = COUNTED[what]

    def say(value: float, groups: Groups) -> str:
        counted = number(value) if not noun else counts(value, noun.removesuffix("s"), noun)
        return f"{verb} {counted} in {span(groups['days'])}"

    return say


def _over(groups: Groups) -> str:
    """Return the window in words, ` in 90 days`; empty where the name has no window."""
    return f" in {span(groups['days'])}" if groups.get("days") else ""


def _share(what: str, did: str) -> Say:
    return lambda value, groups: f"{percent(value)} of {what}{_over(groups)} {did}"


def _counts(before: str, one: str, many: str, after: str = "") -> Say:
    return lambda value, _: f"{before}{counts(value, one, many)}{after}"


def _money(before: str, after: str = "") -> Say:
    return lambda value, _: f"{before}{number(value)}{after}"


def _concentration(value: float, groups: Groups) -> str:
    """Return a Herfindahl index as the number of devices that would have it if all were bought alike."""
    if not value > 0 or value > 0.995:
        return f"bought one device alone{_over(groups)}"
    return f"spread its units{_over(groups)} as if over {number(1 / value)} devices alike"


def _gap(value: float, _: Groups) -> str:
    return (
        f"its units cost {number(value)} less than on the street" if value > 0 else "its units cost no less than on the street"
    )


def _least_units(value: float, groups: Groups) -> str:
    few = f"never bought fewer than {counts(value, 'unit')}"
    return f"{few if value > 1 else 'bought single units, too,'}{_over(groups)}"


def _least_gain(value: float, groups: Groups) -> str:
    """Return what the line that pays least would earn."""
    each = f"each of its lines{_over(groups)} would earn {percent(value)} or more on the street"
    return each if value > 0 else f"one of its lines{_over(groups)} would earn nothing on the street"


def _whether(yes: str, no: str) -> Say:
    return lambda value, groups: f"{yes if value else no}{_over(groups)}"


def _earns(where: str) -> Say:
    return lambda value, _: f"a unit resold {where} {'earns' if value >= 0 else 'loses'} {number(abs(value))}"


def _earns_share(where: str) -> Say:
    return lambda value, _: f"a unit resold {where} {'earns' if value >= 0 else 'loses'} {percent(abs(value))} of its price"


def _there(groups: Groups) -> str:
    """Return the rows of a place in words: `the rows at its store`."""
    place = groups["place"].replace("_", " ")
    return "its own rows" if place == "customer" else f"the rows at its {place}"


def _risk(value: float, groups: Groups) -> str:
    return f"{percent(value)} of {_there(groups)} that were investigated in {span(groups['days'])} were confirmed"


def _expected(value: float, groups: Groups) -> str:
    """Return the phrase of a share that is shrunk to the overall one: an expectation, not a count."""
    return f"by those of {span(groups['days'])} {percent(value)} of {_there(groups)} are expected to be confirmed"


def counts_of(base: str, confirmed: float, labels: float) -> str:
    """Return the counts behind a share that is shrunk: `of the rows at its store 12 were investigated ... and 3 confirmed`.

    Args:
        base: The name of the share (`store_risk_30d`).
        confirmed: Rows that were confirmed.
        labels: Rows that were investigated.
    """
    match = re.fullmatch(f"{PLACE}_risk{WINDOW}", base)
    assert match is not None
    there, days = _there(match.groupdict()), span(match["days"])
    if not labels:
        return f"none of {there} was investigated in {days}"
    if not confirmed:
        return f"none of {there} was confirmed of {number(labels)} that were investigated in {days}"
    return f"of {there} {number(labels)} were investigated in {days} and {number(confirmed)} confirmed"


def _count_at_place(what: str) -> Say:
    one = what.replace("were ", "was ")

    def say(value: float, groups: Groups) -> str:
        return (
            f"{number(value) if value else 'none'} of {_there(groups)} {one if value == 1 else what} in {span(groups['days'])}"
        )

    return say


def _payments(value: float, groups: Groups) -> str:
    """Return how many payments there were: of the customer, or at a place."""
    days = span(groups["days"])
    if groups["place"] == "customer":
        return f"the customer paid {'once' if value == 1 else f'{number(value)} times'} in {days}"
    return f"{counts(value, 'payment')} of known outcome came at its {groups['place'].replace('_', ' ')} in {days}"


def _mean(value: float, groups: Groups) -> str:
    of = "of the customer" if groups["place"] == "customer" else f"at its {groups['place'].replace('_', ' ')}"
    return f"payments {of} in {span(groups['days'])} are {number(value)} on average"


def _frauds_in_a_row(value: float, _: Groups) -> str:
    if value == 1:
        return "the last payment that is known at its terminal was a fraud"
    return f"the last {number(value)} payments that are known at its terminal were frauds" if value else NO_FRAUDS


NO_FRAUDS = "none of the last payments that are known at its terminal was a fraud"


def _confirmed(value: float, _: Groups) -> str:
    if value == 1:
        return "1 customer that shares identifiers with it was confirmed"
    return f"{number(value) if value else 'none of the'} customers that share identifiers with it were confirmed"


def _ratio(verb: str, usual: str) -> Say:
    """Return the phrase of a ratio to what is usual, which says whether it is more or less."""

    def say(value: float, _: Groups) -> str:
        if value == 1:
            return f"{verb} {usual}"
        less = "" if value > 1 else "less than usual: "
        return f"{verb} {less}{number(value)} times {usual}"

    return say


def _sharing(value: float, what: str | None) -> str:
    """Return with how many customers something is shared; `what` is None where several kinds of identifiers count."""
    others = counts(value, "other customer")
    return f"shares its {what.replace('_', ' ')} with {others}" if what else f"shares identifiers with {others}"


PHRASES: tuple[tuple[str, str, Say], ...] = (
    *((f"{what}{WINDOW}", what, _sum(what)) for what in COUNTED),
    ("quantity", "quantity", _counts("buys ", "unit", "units")),
    ("(?:amount|tx_amount)", "amount", _money("is worth ")),
    (f"quantity_ratio{OVER}", "quantity", _ratio("buys", "its usual quantity")),
    (f"amount_ratio{OVER}", "amount", _ratio("spends", "its usual amount")),
    (f"quantity_least{WINDOW}", "least units", _least_units),
    (f"spread_share_least{WINDOW}", "least gain", _least_gain),
    ("usual_ratio", "usual", lambda value, _: f"is {number(value)} times what the customer pays on average"),
    ("highest_ratio", "recent", lambda value, _: f"of late the customer paid up to {number(value)} times the usual"),
    ("usual_count", "known payments", _counts("the customer paid ", "time", "times", " before")),
    (f"cross_channel{OVER}", "channels", _whether("bought through more than one channel", "bought through one channel alone")),
    (f"promoted_share{OVER}", "promoted", _share("its lines", "were bought on promotion")),
    ("promotion", "promoted", _whether("is bought on promotion", "is bought without a promotion")),
    (f"weekend_share{OVER}", "weekend", _share("its lines", "were bought at a weekend")),
    ("(?:tx_during_weekend)", "weekend", _whether("is of a weekend", "is of a weekday")),
    ("(?:tx_during_night)", "night", _whether("is of the night", "is of the day")),
    (f"over_tier_share{OVER}", "tier", _share("its orders", "were just over a tier of discounts")),
    (f"quarter_end_share{OVER}", "quarter end", _share("its lines", "were bought at the end of a quarter")),
    (f"return_rate{OVER}", "returns", _share("its units", "came back")),
    (f"sku_concentration{OVER}", "devices", _concentration),
    ("tenure_days", "tenure", lambda value, _: f"has been known for {_time(value)}" if value else "is new"),
    ("order_gap_days", "gap", lambda value, _: f"orders again after {_time(value)}"),
    ("loss_at_stake", "spread", _gap),
    ("at_stake", "spread", _money("", " are at stake")),
    ("spread", "spread", _earns("on the street")),
    ("spread_share", "spread", _earns_share("on the street")),
    ("best_pair_spread", "spread", _earns("in another market")),
    ("best_pair_share", "spread", _earns_share("in another market")),
    (
        "price_rank",
        "price",
        lambda value, _: "no market is cheaper" if value == 1 else f"its price is number {number(value)} of all markets",
    ),
    ("markets_seen", "price", _counts("the device is seen in ", "market", "markets")),
    ("unit_price", "price", _money("a unit costs ")),
    (
        "(?:network_degree|customers_sharing_(?P<what>\\w+))",
        "network",
        lambda value, groups: _sharing(value, groups.get("what")),
    ),
    ("network_size", "network", _counts("is tied to a group of ", "customer", "customers")),
    (
        "network_confirmed",
        "network",
        _confirmed,
    ),
    ("network_confirmed_share", "network", _share("those that share identifiers with it", "were confirmed")),
    (f"{PLACE}_id_risk{WINDOW}", "risk", _risk),
    (f"{PLACE}_risk{WINDOW}", "risk", _expected),
    (f"{PLACE}_confirmed{WINDOW}", "risk", _count_at_place("were confirmed")),
    (f"{PLACE}_labels{WINDOW}", "risk", _count_at_place("were investigated")),
    (f"{PLACE}_id_nb_tx{WINDOW}", "payments", _payments),
    (f"{PLACE}_id_avg_amount{WINDOW}", "mean payment", _mean),
    (f"(?P<place>customer|terminal)_count{WINDOW}", "payments", _payments),
    (f"(?P<place>customer)_mean{WINDOW}", "mean payment", _mean),
    ("(?P<place>terminal)_run", "risk", _frauds_in_a_row),
    ("(?P<place>terminal)_fraud_share", "risk", _share("payments at its terminal since its first fraud", "were frauds")),
    ("(?P<place>terminal)_run_age", "risk", lambda days, _: f"its terminal's latest frauds began {_time(days)} ago"),
    ("(?P<place>terminal)_first_age", "risk", lambda days, _: f"its terminal's first fraud is {_time(days)} old"),
    ("(?P<place>terminal)_honest_age", "risk", lambda days, _: f"its terminal's last honest payment is {_time(days)} old"),
)
"""A pattern of a whole name, its topic, and its words; the first that fits counts."""

FLAGS = re.compile(f"cross_channel{OVER}|promotion|tx_during_(?:weekend|night)")
"""Inputs that are 1 or 0: yes or no."""

MISSING: tuple[tuple[str, str], ...] = (
    (f"quantity_ratio{OVER}", "has no earlier line to compare its quantity with"),
    (f"amount_ratio{OVER}", "has no earlier line to compare its amount with"),
    ("order_gap_days", "has not ordered before"),
    (f"return_rate{OVER}", "has bought nothing that could come back"),
    ("usual_ratio|highest_ratio", "is of a customer who has not paid before"),
    ("terminal_(?:run_age|first_age)", "is at a terminal without a known fraud"),
    ("terminal_honest_age", "is at a terminal without a known honest payment"),
    ("best_pair_(?:spread|share)", "is of a device that is seen in no other market"),
    ("spread|spread_share|spread_share_least_.*|loss_at_stake", "is of a device without a known street price"),
    ("network_.*", "names no customer whose ties could be followed"),
    (".+_z", "has too few peers to be compared with"),
    ("recent", "its last rows, in their order, look like those of confirmed cases"),
)
"""A pattern of a whole name, and what it means that there is no value."""


def missing_phrase(name: str) -> str | None:
    """Return what it means that an input has no value; None where no pattern fits it."""
    return next((words for pattern, words in MISSING if re.fullmatch(pattern, name)), None)


def topic_of(name: str) -> str | None:
    """Return the topic of an input; None where no pattern fits it."""
    match = _known(name)
    if match is None:
        return None
    topic, _, groups = match
    return f"{topic} {groups['place']}" if groups.get("place") else topic


def phrase_of(name: str, value: float) -> str | None:
    """Return an input in words; None where no pattern fits it."""
    match = _known(name)
    return None if match is None else match[1](value, match[2])


@cache
def _known(name: str) -> tuple[str, Say, Groups] | None:
    for pattern, topic, say in PHRASES:
        match = re.fullmatch(pattern, name)
        if match:
            return topic, say, match.groupdict()
    return None
