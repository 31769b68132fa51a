"""Find statements in a migration that would break the current release. Uses PostgreSQL's own parser."""

from collections.abc import Callable, Mapping
from typing import Any

from pglast import ast, parse_plpgsql, parse_sql
from pglast.enums import AlterTableType, ConstrType, ObjectType
from pglast.parser import ParseError

from plugins.sql import block_statements, condition_is_missing, functions, name_of, nodes, words

# Old code does not name these in its statements.
HARMLESS_DROPS = {
    ObjectType.OBJECT_INDEX,
    ObjectType.OBJECT_POLICY,
    ObjectType.OBJECT_RULE,
    ObjectType.OBJECT_STATISTIC_EXT,
    ObjectType.OBJECT_TRIGGER,
}
COLUMN_CHANGES = {
    AlterTableType.AT_DropColumn: "drops",
    AlterTableType.AT_SetNotNull: "forbids null in",
    AlterTableType.AT_AlterColumnType: "changes the type of",
    AlterTableType.AT_DropIdentity: "drops the identity of",
}
KEYS = {
    ConstrType.CONSTR_UNIQUE: "a unique constraint",
    ConstrType.CONSTR_PRIMARY: "a primary key",
    ConstrType.CONSTR_EXCLUSION: "an exclusion constraint",
}
INDEX_FIRST = " (use CREATE UNIQUE INDEX CONCURRENTLY, then ADD … USING INDEX)"
CHECKED_ROWS = {ConstrType.CONSTR_CHECK: "a check", ConstrType.CONSTR_FOREIGN: "a foreign key"}
# With one of these, an added column gets a value when old code inserts a row.
VALUES = {ConstrType.CONSTR_DEFAULT, ConstrType.CONSTR_GENERATED, ConstrType.CONSTR_IDENTITY}
# The default of existing rows is computed once, so the table is not rewritten.
COMPUTED_ONCE = {"now", "statement_timestamp", "transaction_timestamp"}
REWRITES = {
    AlterTableType.AT_SetAccessMethod: "another access method",
    AlterTableType.AT_SetLogged: "SET LOGGED",
    AlterTableType.AT_SetTableSpace: "another tablespace",
    AlterTableType.AT_SetUnLogged: "SET UNLOGGED",
}
# LOCK TABLE in this mode or a stronger one makes writers wait (lockdefs.h of PostgreSQL).
SHARE_LOCK = 5
SERIAL = {"bigserial", "serial", "serial2", "serial4", "serial8", "smallserial"}
# Alembic updates its only row without WHERE.
OWN_TABLES = {"alembic_version"}


class Judge:
    """Collects the reasons against a script."""

    def __init__(self, sizes: Mapping[str, int], big: int) -> None:
        self.sizes, self.big = sizes, big
        # Old code does not use tables and columns that the script itself creates.
        self.created: set[str] = set()
        self.added: set[tuple[str, str]] = set()
        self.reasons: list[str] = []

    def script(self, sql: str) -> None:
        """Judge the statements of a script."""
        try:
            tree = parse_sql(sql)
        except ParseError as error:
            message, position = error.args
            line = sql[: position or 0].count("\n") + 1
            self.reasons.append(f"cannot be judged, because line {line} of its SQL does not parse ({message})")
            return
        for node in nodes(tree):
            if type(node) in CHECKS:
                CHECKS[type(node)](self, node)

    def large(self, table: str) -> bool:
        """Whether users would notice a lock on a table. A table of unknown size counts as large."""
        return table not in self.created and self.sizes.get(table, self.big) >= self.big

    def add(self, table: str, reason: str) -> None:
        """Note a reason against a change of a table that old code knows."""
        if table not in self.created | OWN_TABLES:
            self.reasons.append(reason)

    def create_table(self, node: Any) -> None:
        """CREATE TABLE, also … AS, and CREATE MATERIALIZED VIEW.

        With IF NOT EXISTS, it is new only if no table has its name.
        """
        relation: Any = node.relation if isinstance(node, ast.CreateStmt) else node.into.rel
        if not node.if_not_exists or relation.relname not in self.sizes:
            self.created.add(relation.relname)

    def alter_table(self, node: Any) -> None:
        """ALTER TABLE and ALTER VIEW, with all of their actions."""
        table = node.relation.relname
        for action in node.cmds:
            if action.subtype == AlterTableType.AT_AddColumn:
                self.added.add((table, action.def_.colname))
                self.add_column(table, action.def_)
            elif action.subtype == AlterTableType.AT_AddConstraint:
                self.add_constraint(table, action.def_)
            elif action.subtype == AlterTableType.AT_ColumnDefault and action.def_ is None:
                self.add(table, f"drops the default of a column of {table}")
            elif action.subtype == AlterTableType.AT_EnableRowSecurity:
                self.add(table, f"hides the rows of {table} that no policy allows")
            elif action.subtype in REWRITES:
                self.rewrite(table, REWRITES[action.subtype])
            elif action.subtype in COLUMN_CHANGES:
                self.add(table, f"{COLUMN_CHANGES[action.subtype]} a column of {table}")

    def add_column(self, table: str, column: Any) -> None:
        """Judge ADD COLUMN."""
        constraints = column.constraints or ()
        kinds = {constraint.contype for constraint in constraints}
        required = kinds & {ConstrType.CONSTR_NOTNULL, ConstrType.CONSTR_PRIMARY}
        if required and not kinds & VALUES and name_of(column.typeName) not in SERIAL:
            self.add(table, f"adds a column to {table} that is not null and has no default")
        if name_of(column.typeName) in SERIAL or ConstrType.CONSTR_IDENTITY in kinds:
            self.rewrite(table, "a column of numbers")
        for constraint in constraints:
            if constraint.contype == ConstrType.CONSTR_GENERATED and constraint.generated_kind == "s":
                self.rewrite(table, "a stored generated column")
            elif constraint.contype == ConstrType.CONSTR_DEFAULT and functions(constraint.raw_expr) - COMPUTED_ONCE:
                self.rewrite(table, "a default that may differ from row to row")
            elif constraint.contype in KEYS:
                self.add_constraint(table, constraint)

    def rewrite(self, table: str, purpose: str) -> None:
        """Judge a statement that writes a whole table again, under an exclusive lock."""
        if self.large(table):
            self.add(table, f"rewrites {table}, which is large, for {purpose} while readers and writers wait")

    def add_constraint(self, table: str, constraint: Any) -> None:
        """Judge ADD CONSTRAINT: on a large table an index has to be built, or the rows checked, beforehand."""
        kind = constraint.contype
        if kind in KEYS and not constraint.indexname and self.large(table):
            work = f"adds {KEYS[kind]} to {table}, which is large, and builds its index while readers and writers wait"
            self.add(table, work + ("" if kind == ConstrType.CONSTR_EXCLUSION else INDEX_FIRST))
        elif kind in CHECKED_ROWS and not constraint.skip_validation and self.large(table):
            self.add(
                table,
                f"adds {CHECKED_ROWS[kind]} to {table}, which is large, and checks its rows while writers wait "
                "(use NOT VALID, then VALIDATE CONSTRAINT)",
            )

    def rename(self, node: Any) -> None:
        """ALTER … RENAME."""
        name = node.relation.relname if node.relation else name_of(node.object) if node.object else node.subname
        if name in self.created and not node.subname:
            self.created.add(node.newname)
        elif node.renameType in (ObjectType.OBJECT_TABLE, ObjectType.OBJECT_COLUMN):
            self.add(name, f"renames {name} or a column of it")
        elif node.renameType == ObjectType.OBJECT_TABCONSTRAINT:
            self.add(name, f"renames a constraint of {name}")
        elif node.renameType not in HARMLESS_DROPS:
            self.add(name, f"renames {words(node.renameType)} {name}")

    def alter_enum(self, node: Any) -> None:
        """ALTER TYPE … RENAME VALUE; a value that is added is fine."""
        if node.oldVal:
            self.add(name_of(node.typeName), f"renames a value of type {name_of(node.typeName)}")

    def set_schema(self, node: Any) -> None:
        """ALTER … SET SCHEMA."""
        name = node.relation.relname if node.relation else name_of(node.object)
        self.add(name, f"moves {name} to another schema")

    def create_index(self, node: Any) -> None:
        """CREATE INDEX."""
        table = node.relation.relname
        if not node.concurrent and self.large(table):
            self.add(table, f"builds an index on {table}, which is large, without CONCURRENTLY, so writers wait")

    def maintain(self, node: Any) -> None:
        """VACUUM FULL and CLUSTER, also of all tables."""
        options = {option.defname for option in getattr(node, "options", None) or node.params or ()}
        relations = [item.relation for item in node.rels or ()] if isinstance(node, ast.VacuumStmt) else [node.relation]
        if isinstance(node, ast.ClusterStmt) or "full" in options:
            for relation in relations or [None]:
                self.rewrite(relation.relname if relation else "every table", "VACUUM FULL or CLUSTER")

    def rebuild(self, node: Any) -> None:
        """REINDEX and REFRESH MATERIALIZED VIEW."""
        concurrent = getattr(node, "concurrent", False) or any(
            option.defname == "concurrently" for option in getattr(node, "params", None) or ()
        )
        name = node.relation.relname if node.relation else "a database or schema"
        if not concurrent and self.large(name):
            self.add(name, f"rebuilds {name}, which is large, without CONCURRENTLY, so others wait")

    def lock(self, node: Any) -> None:
        """LOCK TABLE."""
        for relation in node.relations if node.mode >= SHARE_LOCK else ():
            self.add(relation.relname, f"locks {relation.relname}, so others wait")

    def revoke(self, node: Any) -> None:
        """REVOKE, DROP ROLE and DROP OWNED."""
        if not getattr(node, "is_grant", False):
            self.reasons.append("takes rights or a role away")

    def drop(self, node: Any) -> None:
        """DROP of anything."""
        if node.removeType not in HARMLESS_DROPS:
            for name in map(name_of, node.objects):
                self.add(name, f"drops {words(node.removeType)} {name}")

    def truncate(self, node: Any) -> None:
        """TRUNCATE."""
        for relation in node.relations:
            self.add(relation.relname, f"empties {relation.relname}")

    def delete(self, node: Any) -> None:
        """DELETE without a condition."""
        if condition_is_missing(node.whereClause) and not node.usingClause:
            self.add(node.relation.relname, f"deletes every row of {node.relation.relname}")

    def update(self, node: Any) -> None:
        """UPDATE without a condition. In a small table, it may fill the columns that the script added."""
        table = node.relation.relname
        fills = all((table, target.name) in self.added for target in node.targetList)
        if condition_is_missing(node.whereClause) and not node.fromClause and (self.large(table) or not fills):
            self.add(table, f"updates every row of {table}")

    def do(self, node: Any) -> None:
        """DO: the statements of the block, also those that run under a condition."""
        options = {option.defname: option.arg.sval for option in node.args}
        if options.get("language", "plpgsql") != "plpgsql":
            self.reasons.append(f"cannot be judged, because it runs a DO block in {options['language']}")
            return
        quoted = options["as"].replace("'", "''").replace("\\", "\\\\")
        try:
            tree = parse_plpgsql(f"DO E'{quoted}'")
        except ParseError as error:
            self.reasons.append(f"cannot be judged, because a DO block does not parse ({error.args[0]})")
            return
        for sql in block_statements(tree):
            if sql:
                self.script(sql)
            else:
                self.reasons.append("cannot be judged, because a DO block executes a statement that it composes itself")


CHECKS: dict[type, Callable[[Judge, Any], None]] = {
    ast.CreateStmt: Judge.create_table,
    ast.CreateTableAsStmt: Judge.create_table,
    ast.AlterTableStmt: Judge.alter_table,
    ast.RenameStmt: Judge.rename,
    ast.AlterEnumStmt: Judge.alter_enum,
    ast.AlterObjectSchemaStmt: Judge.set_schema,
    ast.IndexStmt: Judge.create_index,
    ast.DropStmt: Judge.drop,
    ast.TruncateStmt: Judge.truncate,
    ast.DeleteStmt: Judge.delete,
    ast.UpdateStmt: Judge.update,
    ast.DoStmt: Judge.do,
    ast.VacuumStmt: Judge.maintain,
    ast.ClusterStmt: Judge.maintain,
    ast.ReindexStmt: Judge.rebuild,
    ast.RefreshMatViewStmt: Judge.rebuild,
    ast.LockStmt: Judge.lock,
    ast.GrantStmt: Judge.revoke,
    ast.DropOwnedStmt: Judge.revoke,
    ast.DropRoleStmt: Judge.revoke,
}


def contract_reasons(sql: str, sizes: Mapping[str, int], big: int) -> list[str]:
    """Describe each statement that would break old code or block its users.

    Args:
        sql: What the pending migrations would run.
        sizes: Bytes of each table that exists, by name.
        big: Bytes from which a table counts as large: users notice a lock while a statement reads or writes all of it.
    """
    judge = Judge(sizes, big)
    # The parser takes no subclass of str, such as Ansible's tagged one.
    judge.script(str(sql))
    return list(dict.fromkeys(judge.reasons))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"contract_reasons": contract_reasons}
