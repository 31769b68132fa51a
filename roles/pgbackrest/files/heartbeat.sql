-- Runs every minute on each database host. The table is in the database postgres, because the others belong to the
-- application.
select pg_is_in_recovery() as standby \gset
\if :standby
\quit
\endif
set client_min_messages = warning;
set statement_timeout = '20s';
-- Waits for no standby: it would hold this statement, not the rows of users.
set synchronous_commit = local;
create table if not exists fleet_heartbeat (
    id boolean primary key default true check (id),
    at timestamptz not null
);
insert into fleet_heartbeat (at) values (clock_timestamp()) on conflict (id) do update set at = excluded.at;
