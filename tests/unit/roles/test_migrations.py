"""Which migrations are refused because they would break the current release."""

from __future__ import annotations

import pytest
from ansible._internal._datatag._tags import Origin

from plugins.filter.migrations import contract_reasons

SIZES = {"article": 500, "note": 1}
BIG = 100
UNKNOWN = "cannot be judged, because "
COMPOSED = f"{UNKNOWN}a DO block executes a statement that it composes itself"
WAITS = ", which is large, and builds its index while readers and writers wait"
INDEX_FIRST = f"{WAITS} (use CREATE UNIQUE INDEX CONCURRENTLY, then ADD … USING INDEX)"
CHECKED = ", which is large, and checks its rows while writers wait (use NOT VALID, then VALIDATE CONSTRAINT)"
UNIQUE = f"adds a unique constraint to article{INDEX_FIRST}"
BOTH_WAIT = " while readers and writers wait"
FULL = "VACUUM FULL or CLUSTER"
REBUILT = ", which is large, without CONCURRENTLY, so others wait"
SLOW_INDEX = ", which is large, without CONCURRENTLY, so writers wait"


def reasons(sql: str) -> list[str]:
    return contract_reasons(sql, SIZES, BIG)


REFUSED = {
    # Columns
    "ALTER TABLE article DROP COLUMN views": "drops a column of article",
    'alter table "article" drop "views" cascade': "drops a column of article",
    "ALTER TABLE IF EXISTS ONLY public.article DROP COLUMN IF EXISTS views": "drops a column of article",
    "ALTER TABLE article RENAME COLUMN views TO seen": "renames article or a column of it",
    "ALTER TABLE note ADD a int, ADD b text NOT NULL": "adds a column to note that is not null and has no default",
    "ALTER TABLE note ADD a int PRIMARY KEY": "adds a column to note that is not null and has no default",
    "ALTER TABLE article ALTER COLUMN title SET NOT NULL": "forbids null in a column of article",
    "ALTER TABLE article ALTER title TYPE VARCHAR(10)": "changes the type of a column of article",
    "ALTER TABLE article ALTER COLUMN title SET DATA TYPE text": "changes the type of a column of article",
    "ALTER TABLE article ALTER COLUMN title DROP DEFAULT": "drops the default of a column of article",
    "ALTER TABLE article ALTER COLUMN id DROP IDENTITY": "drops the identity of a column of article",
    "ALTER TABLE article ADD s tsvector GENERATED ALWAYS AS (to_tsvector('english', title)) STORED": (
        "rewrites article, which is large, for a stored generated column while readers and writers wait"
    ),
    "ALTER TABLE article ADD id bigserial": f"rewrites article, which is large, for a column of numbers{BOTH_WAIT}",
    "ALTER TABLE article ADD id int GENERATED ALWAYS AS IDENTITY": (
        f"rewrites article, which is large, for a column of numbers{BOTH_WAIT}"
    ),
    "ALTER TABLE article ADD key uuid DEFAULT gen_random_uuid() NOT NULL": (
        f"rewrites article, which is large, for a default that may differ from row to row{BOTH_WAIT}"
    ),
    "ALTER TABLE article SET UNLOGGED": f"rewrites article, which is large, for SET UNLOGGED{BOTH_WAIT}",
    "ALTER TABLE article SET TABLESPACE fast": f"rewrites article, which is large, for another tablespace{BOTH_WAIT}",
    "ALTER TABLE article ENABLE ROW LEVEL SECURITY": "hides the rows of article that no policy allows",
    # Locks and rights
    "VACUUM (FULL, ANALYZE) note, article": f"rewrites article, which is large, for {FULL}{BOTH_WAIT}",
    "VACUUM FULL": f"rewrites every table, which is large, for {FULL}{BOTH_WAIT}",
    "CLUSTER article USING ix": f"rewrites article, which is large, for {FULL}{BOTH_WAIT}",
    "REINDEX TABLE article": f"rebuilds article{REBUILT}",
    "REINDEX INDEX ix": f"rebuilds ix{REBUILT}",
    "REFRESH MATERIALIZED VIEW latest": f"rebuilds latest{REBUILT}",
    "LOCK TABLE note": "locks note, so others wait",
    "REVOKE SELECT ON article FROM news_app": "takes rights or a role away",
    "DROP OWNED BY news_app": "takes rights or a role away",
    "DROP ROLE news_app": "takes rights or a role away",
    # Constraints
    "ALTER TABLE article ADD CONSTRAINT u UNIQUE (title)": UNIQUE,
    "ALTER TABLE article ADD slug text UNIQUE": UNIQUE,
    "ALTER TABLE unknown ADD PRIMARY KEY (id)": f"adds a primary key to unknown{INDEX_FIRST}",
    "ALTER TABLE article ADD EXCLUDE USING gist (during WITH &&)": f"adds an exclusion constraint to article{WAITS}",
    "ALTER TABLE article ADD CONSTRAINT c CHECK (title <> '')": f"adds a check to article{CHECKED}",
    "ALTER TABLE article ADD FOREIGN KEY (author) REFERENCES author": f"adds a foreign key to article{CHECKED}",
    "ALTER TABLE article RENAME CONSTRAINT a TO b": "renames a constraint of article",
    # Whole objects
    "DROP TABLE IF EXISTS public.article CASCADE": "drops table article",
    "DROP VIEW latest": "drops view latest",
    "DROP MATERIALIZED VIEW latest": "drops materialized view latest",
    "DROP SEQUENCE article_id_seq": "drops sequence article_id_seq",
    "DROP TYPE public.mood": "drops type mood",
    "DROP SCHEMA news": "drops schema news",
    "DROP FUNCTION slug(text)": "drops function slug",
    "DROP DOMAIN email": "drops domain email",
    "DROP EXTENSION pg_trgm": "drops extension pg_trgm",
    "ALTER TABLE article RENAME TO text": "renames article or a column of it",
    "ALTER TABLE article SET SCHEMA old": "moves article to another schema",
    "ALTER VIEW latest RENAME TO newest": "renames view latest",
    "ALTER SEQUENCE article_id_seq RENAME TO ids": "renames sequence article_id_seq",
    "ALTER SCHEMA news RENAME TO old": "renames schema news",
    "ALTER TYPE mood RENAME TO temper": "renames type mood",
    "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'": "renames a value of type mood",
    "ALTER FUNCTION slug(text) RENAME TO slugify": "renames function slug",
    "CREATE TABLE IF NOT EXISTS article (id int); DROP TABLE article": "drops table article",
    # Indexes
    "CREATE UNIQUE INDEX ix ON article (title)": f"builds an index on article{SLOW_INDEX}",
    "CREATE INDEX ix ON unknown (title)": f"builds an index on unknown{SLOW_INDEX}",
    # Rows
    "TRUNCATE TABLE ONLY article": "empties article",
    "DELETE FROM article": "deletes every row of article",
    "DELETE FROM note WHERE true": "deletes every row of note",
    "WITH gone AS (DELETE FROM article RETURNING *) INSERT INTO note TABLE gone": "deletes every row of article",
    "UPDATE article SET views = views / 0": "updates every row of article",
    "UPDATE note SET text = ''": "updates every row of note",
    "ALTER TABLE article ADD mood int; UPDATE article SET mood = 1": "updates every row of article",
    # Comments and strings
    "UPDATE note SET text = 'see -- below' WHERE id = 1; ALTER TABLE article DROP COLUMN views": (
        "drops a column of article"
    ),
    "INSERT INTO note VALUES ('-- no comment'); DROP TABLE article": "drops table article",
    "INSERT INTO note VALUES ('/*'); DROP TABLE article; INSERT INTO note VALUES ('*/')": "drops table article",
    "/* outer /* inner */ still a comment */ DROP TABLE article": "drops table article",
    "SELECT E'it\\'s'; DROP TABLE article": "drops table article",
    'ALTER TABLE "two words" DROP "a;b"': "drops a column of two words",
    # Blocks
    "DO $$ BEGIN DROP TABLE article; END $$": "drops table article",
    "DO LANGUAGE plpgsql 'BEGIN DROP TABLE article; END'": "drops table article",
    "DO $$ BEGIN IF true THEN NULL; ELSE ALTER TABLE article DROP a; END IF; END $$": "drops a column of article",
    "DO $$ BEGIN NULL; EXCEPTION WHEN OTHERS THEN DELETE FROM note; END $$": "deletes every row of note",
    "DO $$ BEGIN FOR i IN 1..2 LOOP DROP TABLE article; END LOOP; END $$": "drops table article",
    "DO $$ BEGIN EXECUTE 'DROP TABLE article'; END $$": "drops table article",
    "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'article'); END $$": COMPOSED,
    "DO $$ DECLARE r record; BEGIN FOR r IN EXECUTE 'a' || 'b' LOOP NULL; END LOOP; END $$": COMPOSED,
    "DO $$ DECLARE c refcursor; BEGIN OPEN c FOR EXECUTE 'DROP TABLE article'; END $$": COMPOSED,
    "DO LANGUAGE plpython3u 'pass'": f"{UNKNOWN}it runs a DO block in plpython3u",
    "DO $$ BEGIN DROP; END $$": f"{UNKNOWN}a DO block does not parse (syntax error at end of input)",
    # No SQL
    "SELECT 1;\nSELEC 2": f'{UNKNOWN}line 4 of its SQL does not parse (syntax error at or near "SELEC")',
    "\\connect other": f'{UNKNOWN}line 3 of its SQL does not parse (syntax error at or near "\\")',
}
ACCEPTED = [
    "-- nothing\n;;",
    "ALTER TABLE article ADD COLUMN a int",
    "ALTER TABLE article ADD COLUMN a NUMERIC(10, 2) DEFAULT 0 NOT NULL",
    "ALTER TABLE note ADD COLUMN id bigserial NOT NULL",
    "ALTER TABLE note ADD COLUMN id bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL",
    "ALTER TABLE note ADD COLUMN s tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', title)) STORED",
    "ALTER TABLE article ADD COLUMN s int GENERATED ALWAYS AS (views + 1) VIRTUAL",
    "ALTER TABLE article DROP CONSTRAINT ck_article",
    "ALTER TABLE article ADD CONSTRAINT ck CHECK (title <> '') NOT VALID",
    "ALTER TABLE article VALIDATE CONSTRAINT ck",
    "ALTER TABLE article ADD CONSTRAINT u UNIQUE USING INDEX ix",
    "ALTER TABLE note ADD CONSTRAINT u UNIQUE (title)",
    "ALTER TABLE article ALTER COLUMN title DROP NOT NULL",
    "ALTER TABLE article ALTER COLUMN title SET DEFAULT ''",
    "ALTER TYPE mood ADD VALUE 'fine'",
    "ALTER TABLE article ADD seen timestamptz DEFAULT now() NOT NULL",
    "ALTER TABLE note ADD key uuid DEFAULT gen_random_uuid()",
    "VACUUM ANALYZE article",
    "REINDEX TABLE CONCURRENTLY article",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY latest",
    "REFRESH MATERIALIZED VIEW note",
    "LOCK TABLE article IN ACCESS SHARE MODE",
    "GRANT SELECT ON article TO news_app",
    "COMMENT ON TABLE article IS 'x'",
    "SET lock_timeout = '5s'",
    "CREATE INDEX CONCURRENTLY ix ON article (title)",
    "CREATE INDEX ix ON note (title)",
    "CREATE TABLE fresh (id int); CREATE INDEX ON fresh (id); ALTER TABLE fresh ADD b int NOT NULL; DROP TABLE fresh",
    "CREATE TABLE fresh (id int); ALTER TABLE fresh RENAME TO newer; ALTER TABLE newer DROP id",
    "CREATE TABLE fresh AS SELECT 1 AS id; DELETE FROM fresh",
    "INSERT INTO article (title) VALUES ('x; DROP TABLE article')",
    "CREATE FUNCTION f() RETURNS trigger AS $body$ BEGIN; DROP TABLE article; END $body$ LANGUAGE plpgsql",
    "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC DELETE FROM article; END",
    "CREATE RULE r AS ON DELETE TO note DO ALSO DELETE FROM article",
    "/* ALTER TABLE article DROP COLUMN a; */ SELECT 1",
    "-- DROP TABLE article;\nSELECT 1",
    "DROP INDEX ix_article_title",
    "DROP TRIGGER t ON article",
    "DELETE FROM article WHERE id = 1",
    "DELETE FROM article USING note WHERE note.id = article.id",
    "UPDATE article SET views = 0 WHERE views IS NULL",
    "ALTER TABLE note ADD mood int; UPDATE note SET mood = 1",
    "DO $$ BEGIN CREATE TYPE mood AS ENUM ('good'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    "DO $$ BEGIN RAISE NOTICE 'DROP TABLE %', 'it''s'; END $$",
]


@pytest.mark.parametrize(("sql", "reason"), REFUSED.items())
def test_a_statement_that_would_break_old_code_is_refused_with_a_reason(sql: str, reason: str) -> None:
    script = f"BEGIN;\n-- Running upgrade 1 -> 2\n{sql};\nUPDATE alembic_version SET version_num='2';\nCOMMIT;"
    assert reasons(script) == [reason]


@pytest.mark.parametrize("sql", ACCEPTED)
def test_a_statement_that_only_adds_is_accepted(sql: str) -> None:
    assert reasons(sql) == []


def test_each_reason_is_given_once_and_in_order() -> None:
    assert reasons("DO $$ BEGIN DROP TABLE b; END $$; ALTER TABLE article DROP a, DROP b; DROP TABLE note, c") == [
        "drops table b",
        "drops a column of article",
        "drops table note",
        "drops table c",
    ]


def test_a_tagged_string_of_ansible_is_accepted() -> None:
    assert reasons(Origin(description="a task").tag("DROP TABLE note")) == ["drops table note"]
