"""Prints what was measured as a page in Markdown: `python3 tests/wild/page.py > docs/wild.md`."""

from listed import Repository, outcomes, repositories

HEAD = """\
# Public repositories

How many public repositories does `alekseylearn fit` train at the first try? Each repository here was found by
searching for the layouts that people use. Its README's command was run in a plain container (the baseline) and then
given to `fit` as it stands. `tests/wild/README.md` has the list, the rules and the script that measures
it.
"""


def works(outcome: dict, *runs: str) -> bool:
    """Whether one of these runs works."""
    return any(outcome.get(run, {}).get("works") for run in runs)


def share(part: int, whole: int) -> str:
    """A count and its percentage."""
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "none"


def cell(text: str) -> str:
    """A text that fits into a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def row(*cells: object) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def table(*columns: str) -> list[str]:
    """The head of a table."""
    return ["", row(*columns), "|" + "---|" * len(columns)]


def ended(outcome: dict, run: str) -> str:
    """How a run ended."""
    ran = outcome.get(run)
    return "" if ran is None else "works" if ran["works"] else cell(ran.get("why", "fails"))


def link(repository: Repository) -> str:
    """A link to the commit that was measured."""
    return f"[{repository.name}](https://github.com/{repository.name}/tree/{repository.commit})"


def page(listed: list[Repository], found: dict[str, dict]) -> list[str]:
    """The lines of the page."""
    of = lambda repository: found.get(repository.name, {})  # noqa: E731
    dates = sorted(ran["on"] for outcome in found.values() for ran in outcome.values() if "on" in ran)
    known = [repository for repository in listed if of(repository)]
    ran = [repository for repository in known if not repository.unfit]
    fair = [repository for repository in known if works(of(repository), "baseline")]
    tried = [repository for repository in fair if "first" in of(repository)]
    first = sum(works(of(repository), "first") for repository in tried)
    after = sum(works(of(repository), "first", "after") for repository in tried)
    lines = [HEAD, f"Measured on {dates[-1] if dates else 'no day yet'}:"]
    lines += table("repositories listed", len(listed))
    lines += [
        row("set aside by reading: they need data, an account or another Python", len(known) - len(ran)),
        row("run in a plain container", len(ran)),
        row("work there", share(len(fair), len(ran))),
        row("of these, given to `fit`", len(tried)),
        row("train at the first try", share(first, len(tried))),
        row("train after following one message", share(after, len(tried))),
        "",
        "## By kind",
        *table("kind", "listed", "baseline works", "given to `fit`", "first try", "after one message"),
    ]
    for kind in dict.fromkeys(repository.kind for repository in listed):
        mine = [of(repository) for repository in listed if repository.kind == kind]
        counts = [len(mine), sum(works(one, "baseline") for one in mine), sum("first" in one for one in mine)]
        counts += [sum(works(one, "first") for one in mine), sum(works(one, "first", "after") for one in mine)]
        lines.append(row(kind, *counts))
    lines += ["", "## Given to fit", *table("repository", "command", "first try", "after one message")]
    for repository in tried:
        outcome = of(repository)
        command = f"`{cell(' && '.join(filter(None, (repository.before, repository.command))))}`"
        lines.append(row(link(repository), command, ended(outcome, "first"), ended(outcome, "after")))
    lines += ["", "## Not given to fit", *table("repository", "kind", "baseline")]
    for repository in listed:
        if repository not in tried:
            outcome = ended(of(repository), "baseline") or "not measured yet"
            lines.append(row(link(repository), repository.kind, outcome))
    return lines


if __name__ == "__main__":
    print("\n".join(page(repositories(), outcomes())))
