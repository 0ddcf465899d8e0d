"""Does any sentence of a report claim what the history does not prove?

Each rule is a function: a report in, every claim of it that the history beside it refutes or does not bear out. Its
docstring is the rule. What a rule needs of the history it counts itself, from the lines, without the program's
own measuring. `test_claims.py` shows each rule a report with such a claim in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.strangers.claims import causes, failures, prevention, sight, times
from tests.strangers.told import Report

Rule = Callable[[Report], Iterator[str]]

RULES: tuple[Rule, ...] = (
    failures.counts_are_the_loads,
    failures.nothing_means_nothing,
    failures.broken_is_failed,
    failures.live_line_counts_those_who_wait,
    failures.unknown_rate_is_not_none,
    failures.other_is_known,
    failures.headline_counts_what_failed,
    failures.passed_checks_hold,
    failures.lost_is_missing,
    causes.no_fault_needs_a_connection,
    causes.not_a_disconnect_needs_testimony,
    causes.error_is_no_response,
    causes.harness_owns_its_cuts,
    causes.in_use_was_whole_when_lent,
    prevention.no_setting_helps_where_one_did,
    prevention.percentages_agree,
    prevention.best_fails_no_more,
    prevention.broken_service_is_not_judged,
    prevention.all_different_failures_are_told,
    sight.no_witness_means_none,
    sight.arms_are_seen_alike,
    sight.masked_were_dead,
    sight.leaving_is_not_swallowing,
    sight.pool_holds_no_more_than_it_has,
    sight.what_was_written_was_seen,
    times.recovered_means_answered,
    times.small_costs_are_small,
    times.same_is_not_different,
    times.never_means_never,
    times.longest_wait_was_waited,
)


def unproven(report: Report) -> list[str]:
    """Every claim that does not hold, behind the name of the rule that it breaks; each is said once."""
    found = [f"{rule.__name__}: {said}" for rule in RULES for said in rule(report)]
    return list(dict.fromkeys(found))
