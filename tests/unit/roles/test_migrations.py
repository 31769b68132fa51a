"""Which migrations are refused because the code that serves now could not live with them."""

from __future__ import annotations

import pytest

from plugins.filter.migrations import contract_reasons, statements

SIZES = {"article": 500, "note": 1}
BIG = 100


def reasons(sql: str) -> list[str]:
    return contract_reasons(sql, SIZES, BIG)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("ALTER TABLE article DROP COLUMN views", "drops a column of article"),
        ('alter table "article" drop "views" cascade', "drops a column of article"),
        ("DROP TABLE IF EXISTS public.article CASCADE", "drops table article"),
        ("DROP VIEW latest", "drops view latest"),
        ("ALTER TABLE article RENAME COLUMN views TO seen", "renames article or a column of it"),
        ("ALTER TABLE article RENAME TO text", "renames article or a column of it"),
        ("ALTER TYPE mood RENAME TO temper", "renames type mood"),
        (
            "ALTER TABLE article ADD a int, ADD COLUMN b text NOT NULL",
            "adds a column to article that is not null and has no default",
        ),
        ("ALTER TABLE article ALTER COLUMN title SET NOT NULL", "forbids null in a column of article"),
        ("ALTER TABLE article ALTER title TYPE VARCHAR(10)", "changes the type of a column of article"),
        ("ALTER TABLE article ALTER COLUMN title DROP DEFAULT", "drops the default of a column of article"),
        (
            "CREATE UNIQUE INDEX ix ON article (title)",
            "builds an index on article that is big, not concurrently, while writers wait",
        ),
        (
            "CREATE INDEX ix ON unknown (title)",
            "builds an index on unknown that is big, not concurrently, while writers wait",
        ),
        ("TRUNCATE TABLE article", "empties article"),
    ],
)
def test_what_old_code_cannot_live_with_has_a_reason(sql: str, reason: str) -> None:
    assert reasons(
        f"BEGIN;\n-- Running upgrade 1 -> 2\n{sql};\nUPDATE alembic_version SET version_num='2';\nCOMMIT;"
    ) == [reason]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE article ADD COLUMN a int",
        "ALTER TABLE article ADD COLUMN a NUMERIC(10, 2) DEFAULT 0 NOT NULL",
        "ALTER TABLE article ADD COLUMN s tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', title)) STORED",
        "ALTER TABLE article DROP CONSTRAINT ck_article",
        "ALTER TABLE article ADD CONSTRAINT ck CHECK (title <> '') NOT VALID",
        "ALTER TABLE article ALTER COLUMN title DROP NOT NULL",
        "CREATE INDEX CONCURRENTLY ix ON article (title)",
        "CREATE INDEX ix ON note (title)",
        "CREATE TABLE fresh (id int NOT NULL); CREATE INDEX ix ON fresh (id); ALTER TABLE fresh ADD b int NOT NULL; DROP TABLE fresh",
        "INSERT INTO article (title) VALUES ('x; DROP TABLE article')",
        "CREATE FUNCTION f() RETURNS trigger AS $body$ BEGIN; DROP TABLE article; END $body$ LANGUAGE plpgsql",
        "/* ALTER TABLE article DROP COLUMN a; */ SELECT 1",
        "DROP INDEX ix_article_title",
    ],
)
def test_what_only_adds_has_none(sql: str) -> None:
    assert reasons(sql) == []


def test_each_reason_is_given_once() -> None:
    assert reasons("ALTER TABLE article DROP a, DROP b; DROP TABLE note") == [
        "drops a column of article",
        "drops table note",
    ]


def test_statements_end_where_they_end() -> None:
    assert statements("SELECT ';' ;  select\n 2; -- ;\n") == ["SELECT ';'", "select 2"]
