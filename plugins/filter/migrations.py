"""Which statements of a migration the code that serves now could not live with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NAME = r'(?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))?'
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
# Where a statement ends: not inside quotes of any kind.
TOKEN = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\2\$)|;", re.DOTALL)
ALTER = re.compile(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?({NAME})\s*(.*)", re.IGNORECASE | re.DOTALL)
CREATE = re.compile(rf"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?({NAME})", re.IGNORECASE)
INDEX = re.compile(
    rf"CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(?:IF NOT EXISTS )?({NAME} )?ON (?:ONLY )?({NAME})", re.IGNORECASE
)
DROP = re.compile(
    rf"DROP (TABLE|VIEW|MATERIALIZED VIEW|SEQUENCE|TYPE|SCHEMA|FUNCTION)\b.*?({NAME})\s*(?:CASCADE|RESTRICT)?$",
    re.IGNORECASE,
)
CHANGES = {"SET NOT NULL": "forbids null in", " TYPE ": "changes the type of", "DROP DEFAULT": "drops the default of"}


def statements(sql: str) -> list[str]:
    """The statements of a script, each on one line, without comments."""
    found, start = [], 0
    sql = COMMENT.sub(" ", sql)
    for token in TOKEN.finditer(sql):
        if token[0] == ";":
            found.append(sql[start : token.start()])
            start = token.end()
    return [line for part in [*found, sql[start:]] if (line := " ".join(part.split()))]


def bare(name: str) -> str:
    """A table's name without schema and quotes."""
    return name.split(".")[-1].strip('"')


def parts(actions: str) -> list[str]:
    """The actions of one ALTER TABLE, which commas outside of brackets separate."""
    found, depth = [""], 0
    for character in actions:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [part.strip() for part in found]


def of_action(table: str, action: str) -> str:
    """What old code cannot live with in one action of ALTER TABLE; empty where it can."""
    upper = action.upper()
    if re.match(r"DROP (COLUMN )?(?!CONSTRAINT\b|EXPRESSION\b)", upper):
        return f"drops a column of {table}"
    if upper.startswith("RENAME"):
        return f"renames {table} or a column of it"
    if upper.startswith("SET SCHEMA"):
        return f"moves {table} to another schema"
    if upper.startswith("ADD COLUMN") or re.match(
        r'ADD (?!CONSTRAINT|PRIMARY|UNIQUE|FOREIGN|CHECK|EXCLUDE)["\w]', upper
    ):
        needs_value = "NOT NULL" in upper and not re.search(r"\bDEFAULT\b|\bGENERATED\b|\b(BIG|SMALL)?SERIAL\b", upper)
        return f"adds a column to {table} that is not null and has no default" if needs_value else ""
    if upper.startswith("ALTER"):
        for words, what in CHANGES.items():
            if words in f"{upper} ":
                return f"{what} a column of {table}"
    return ""


def contract_reasons(sql: str, sizes: Mapping[str, int], big: int) -> list[str]:
    """A phrase for each statement that old code, or its users, could not live with.

    Args:
        sql: What the pending migrations would run.
        sizes: Bytes of each table that exists, by name. A table of unknown size counts as big.
        big: Bytes from which on an index may not be built while writers wait.
    """
    new: set[str] = set()
    reasons = []
    for statement in statements(sql):
        if created := CREATE.match(statement):
            new.add(bare(created[1]))
        elif altered := ALTER.match(statement):
            table = bare(altered[1])
            reasons += (
                [] if table in new else [reason for action in parts(altered[2]) if (reason := of_action(table, action))]
            )
        elif index := INDEX.match(statement):
            table = bare(index[3])
            if not index[1] and table not in new and sizes.get(table, big) >= big:
                reasons.append(f"builds an index on {table} that is big, not concurrently, while writers wait")
        elif dropped := DROP.match(statement):
            reasons += [] if bare(dropped[2]) in new else [f"drops {dropped[1].lower()} {bare(dropped[2])}"]
        elif re.match(r"TRUNCATE\b", statement, re.IGNORECASE):
            reasons.append(f"empties {bare(statement.split()[-1])}")
        elif re.match(r"ALTER (TYPE|VIEW|SEQUENCE|SCHEMA)\b.*\bRENAME\b", statement, re.IGNORECASE):
            reasons.append(f"renames {statement.split()[1].lower()} {bare(statement.split()[2])}")
    return list(dict.fromkeys(reasons))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"contract_reasons": contract_reasons}
