"""People's mistakes are undone, by the rows: their number and their text. `make test` runs this on one host, too."""

from dataclasses import replace
from uuid import uuid4

import pytest

from tests.support.drills.background import running
from tests.support.drills.restores import plan, seconds_without, under_load
from tests.support.drills.story import ROWS, Story, beside
from tests.support.drills.verdict import RESULTS, reasons, succeeded
from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet

pytestmark = pytest.mark.usefixtures("served")

# Without those that Postgres computes.
WRITABLE = (
    "select string_agg(quote_ident(column_name), ',' order by ordinal_position) from information_schema.columns"
    " where table_name = 'article' and is_generated = 'NEVER'"
)


def test_a_table_is_copied_back_while_the_site_serves(
    fleet: LiveFleet, api_key: str, story: Story, command: Command
) -> None:
    mistake = f"mistake-{uuid4().hex[:8]}"
    story.write(mistake)
    query = "select {} from article where title like '{}-%'"
    deleted = {int(number) for number in fleet.sql(fleet.primary, query.format("id", story.before)).split()}
    load = plan(fleet, api_key)
    load = replace(load, articles=[number for number in load.articles if number not in deleted])
    with running(load, RESULTS) as records:
        fleet.sql(fleet.primary, f"delete from article where title like '{story.before}-%'")
        assert story.digest(story.before) == "0|"
        with beside(command, story.target) as shown:
            counts = [f"({query.format('count(*)', title)})" for title in (story.before, story.after, mistake)]
            assert shown(f"select {', '.join(counts)}") == f"{ROWS}|0|0"
            columns = fleet.sql(fleet.primary, WRITABLE)
            rows = f"\\copy ({query.format(columns, story.before)}) to stdout"
            given = command("psql", "--beside", "--", "-c", rows).stdout
            copied = command("psql", "--", "-c", f"\\copy article ({columns}) from stdin", given=given)
            assert copied.returncode == 0, copied.stderr
            assert story.digest(story.before) == story.expected
            assert story.digest(story.after).startswith(f"{ROWS}|")
    fleet.sql(fleet.primary, f"delete from article where title like '{mistake}-%'")
    assert reasons(record for record in records if not succeeded(record)) == {}


def test_the_whole_cluster_goes_back_under_load(fleet: LiveFleet, api_key: str, story: Story) -> None:
    run, records = under_load(fleet, plan(fleet, api_key), story)
    story.went_back()
    print(
        f"\nin place: {run.seconds:.0f} s, without writes {seconds_without(records, 'write'):.1f} s, "
        f"without reads {seconds_without(records, 'read'):.1f} s"
    )
    assert "The database is that of" in run.output
    assert "The data of before are in" in run.output
    kept = "ls -d /var/lib/postgresql/*/main.before-*"
    assert any(fleet.run(host, kept, check=False).returncode == 0 for host in fleet.group("postgres"))
