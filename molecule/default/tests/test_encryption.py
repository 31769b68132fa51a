"""TLS inside the fleet: who is let in, and who is refused."""

import shlex
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

TLS = "/etc/fleet-tls"
OWN = f"{TLS}/cert.pem {TLS}/key.pem"
FOREIGN = "/run/foreign.pem /run/foreign.key"
# A certificate for the same name and addresses, which nobody in the fleet has signed.
FORGE = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 1 -subj /O=flaskfleet/OU={name}
-addext subjectAltName=IP:{address},IP:127.0.0.1,DNS:{name} -out /run/foreign.pem -keyout /run/foreign.key
"""
# Prints the first line of the answer to a request, or the error. A server that wants a certificate from the client may
# refuse only after the handshake.
PROBE = """
import socket, ssl, sys
address, port, ca, *pair = sys.argv[1:]
try:
    connection = socket.create_connection((address, int(port)), timeout=5)
    if ca:
        context = ssl.create_default_context(cafile=ca)
        if pair:
            context.load_cert_chain(*pair)
        connection = context.wrap_socket(connection, server_hostname=address)
    connection.sendall(b"PING\\r\\n" if port in ("6479", "6480") else b"GET /health HTTP/1.0\\r\\n\\r\\n")
    print((connection.recv(1000).decode() or "nothing").splitlines()[0])
except OSError as error:
    print(f"{type(error).__name__}: {error}")
"""
REDIS = (6479, 6480)
APP = 8443
# Prints the version of TLS, or the error.
CONNECT = """
import os, sys
from sqlalchemy import create_engine, make_url
given = dict(word.split("=") for word in sys.argv[1:])
try:
    with create_engine(make_url(os.environ["DATABASE_URL"]).update_query_dict(given)).connect() as connection:
        print(connection.exec_driver_sql("select version from pg_stat_ssl where pid = pg_backend_pid()").scalar())
except Exception as error:
    print(error)
"""


def ask(fleet: LiveFleet, source: Host, target: Host, port: int, words: str) -> str:
    """Return how a port answers a host. The words are a file with CAs, a certificate and its key."""
    return fleet.run(source, f"python3 -c {shlex.quote(PROBE)} {target.address} {port} {words}").stdout.strip()


def stranger(fleet: LiveFleet, host: Host) -> Iterator[Host]:
    """Give a host a certificate of a stranger for a while."""
    fleet.run(host, " ".join(FORGE.format(name=host.name, address=host.address).split()))
    yield host
    fleet.run(host, "rm -f /run/foreign.*")


@pytest.fixture(scope="module")
def client(fleet: LiveFleet) -> Iterator[Host]:
    """A host that may reach the ports of etcd."""
    yield from stranger(fleet, fleet.group("etcd")[0])


@pytest.fixture(scope="module")
def application(fleet: LiveFleet) -> Iterator[Host]:
    """A host that may reach the ports of Redis."""
    yield from stranger(fleet, fleet.group("app")[0])


@pytest.fixture(scope="module")
def balancer(fleet: LiveFleet) -> Iterator[Host]:
    """A host that may reach the application by TLS."""
    yield from stranger(fleet, fleet.group("loadbalancers")[0])


def test_etcd_lets_a_client_in_that_has_a_certificate_of_the_fleet(fleet: LiveFleet, client: Host) -> None:
    answers = {ask(fleet, client, member, 2379, f"{TLS}/ca.pem {OWN}") for member in fleet.group("etcd")}
    assert answers == {"HTTP/1.0 200 OK"}


STRANGERS = pytest.mark.parametrize(
    ("words", "error"),
    [
        (f"{TLS}/ca.pem", "certificate required"),
        (f"{TLS}/ca.pem {FOREIGN}", "unknown ca"),
        (f"/run/foreign.pem {OWN}", "certificate verify failed"),
    ],
    ids=["no certificate", "certificate of a stranger", "client that does not trust the CA"],
)


@STRANGERS
def test_etcd_and_its_clients_refuse_strangers(fleet: LiveFleet, client: Host, words: str, error: str) -> None:
    for member in fleet.group("etcd"):
        answer = ask(fleet, client, member, 2379, words)
        assert error in answer.replace("_", " ").lower()
        assert "200" not in answer


def test_etcd_refuses_clients_without_tls(fleet: LiveFleet, client: Host) -> None:
    answers = [ask(fleet, client, member, 2379, "''") for member in fleet.group("etcd")]
    own = fleet.run(client, f"python3 -c {shlex.quote(PROBE)} 127.0.0.1 2379 ''").stdout.strip()
    assert all(answer == "nothing" or "reset" in answer for answer in (*answers, own)), (answers, own)


def test_programs_of_the_database_hosts_reach_etcd(fleet: LiveFleet, client: Host) -> None:
    """Each host that reaches its clients renews a key there."""
    reaching = fleet.run(client, "etcdctl get --prefix --keys-only /flaskfleet/main/clients-in-sight/").stdout.split()
    members = fleet.group("postgres")
    assert {key.rpartition("/")[2] for key in reaching} >= ({host.name for host in members} if members[1:] else set())
    for host in members:
        assert "Leader" in fleet.run(host, "patronictl -c /etc/patroni/config.yml list").stdout


def test_replication_is_encrypted_and_verifies_the_primary(fleet: LiveFleet) -> None:
    plain = "select count(*) from pg_stat_replication join pg_stat_ssl using (pid) where not ssl"
    assert fleet.sql(fleet.primary, plain) == "0"
    for standby in fleet.standbys:
        assert "sslmode=verify-full" in fleet.sql(standby, "select conninfo from pg_stat_wal_receiver")


@pytest.fixture(scope="module")
def connect(fleet: LiveFleet) -> Callable[..., str]:
    """Connect to the database as the application does, except for options of libpq."""

    def connect(**options: str) -> str:
        words = " ".join(f"{name}={value}" for name, value in options.items())
        return fleet.app_command(f"python -c {shlex.quote(CONNECT)} {words}")

    return connect


def test_applications_verify_the_database(fleet: LiveFleet, connect: Callable[..., str]) -> None:
    assert connect() == "TLSv1.3"
    assert "certificate verify failed" in connect(sslrootcert="/etc/ssl/certs/ca-certificates.crt")
    # The same host by a name that its certificate lacks.
    wrong = connect(host="stranger.test:5432", hostaddr=fleet.primary.address)
    assert 'does not match host name "stranger.test"' in wrong


def test_the_database_refuses_applications_without_tls(fleet: LiveFleet, connect: Callable[..., str]) -> None:
    assert "no encryption" in connect(sslmode="disable")
    plain = "select count(*) from pg_stat_activity join pg_stat_ssl using (pid) where not ssl and client_addr <> '{}'"
    assert {fleet.sql(member, plain.format("127.0.0.1")) for member in fleet.group("postgres")} == {"0"}


def test_members_of_postgres_refuse_a_primary_of_a_stranger(fleet: LiveFleet, client: Host) -> None:
    """The same connection with another CA fails, so the name and the CA are looked at."""
    words = f"host={fleet.primary.address} user=nobody dbname=postgres sslmode=verify-full sslrootcert="
    errors = [
        fleet.run(client, f"psql '{words}{ca}' -c 'select 1'", check=False).stderr
        for ca in (f"{TLS}/ca.pem", "/run/foreign.pem")
    ]
    assert "no pg_hba.conf entry" in errors[0]
    assert "certificate verify failed" in errors[1]


@STRANGERS
def test_the_application_and_nginx_refuse_strangers(fleet: LiveFleet, balancer: Host, words: str, error: str) -> None:
    for host in fleet.group("app"):
        assert ask(fleet, balancer, host, APP, f"{TLS}/ca.pem {OWN}").startswith("HTTP/1.")
        answer = ask(fleet, balancer, host, APP, words).replace("_", " ").lower()
        assert error in answer or ("reset by peer" in answer and "verify" not in error), answer
        assert ask(fleet, balancer, host, APP, "''") in (
            "nothing",
            "ConnectionResetError: [Errno 104] Connection reset by peer",
        )


def test_nginx_reaches_the_application_only_by_tls(fleet: LiveFleet) -> None:
    for host in fleet.group("loadbalancers"):
        upstream = fleet.run(host, "cat /etc/nginx/upstream.conf").stdout
        assert "default https;" in upstream
        assert f":{APP} " in upstream
        assert ":8000 " not in upstream


@STRANGERS
def test_redis_and_its_clients_refuse_strangers(fleet: LiveFleet, application: Host, words: str, error: str) -> None:
    for member, port in product(fleet.group("redis"), REDIS):
        answer = ask(fleet, application, member, port, words).replace("_", " ").lower()
        # Redis closes the connection right after its alert, which may then be lost.
        assert error in answer or ("reset by peer" in answer and "verify" not in error)
        # Also of the fleet, nobody is let in without a password.
        assert "NOAUTH" in ask(fleet, application, member, port, f"{TLS}/ca.pem {OWN}")


def test_haproxy_reaches_redis_only_by_tls(fleet: LiveFleet) -> None:
    """Its Sentinels are asked in plain text, so only the ports of the servers count."""
    states = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock')"
    states += "; s.sendall(b'show servers state\\n'); print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
    members = {host.address for host in fleet.group("redis")}
    for host in (*fleet.group("app"), *fleet.group("workers")):
        lines = [line.split() for line in fleet.run(host, f"python3 -c {shlex.quote(states)}").stdout.splitlines()]
        servers = [line for line in lines if line[4:] and line[4] in members and not line[1].endswith("-votes")]
        # Its port, and whether it is reached by TLS.
        assert {(line[18], line[20]) for line in servers} == {(str(port), "1") for port in REDIS}, host.name
        up = [line for line in lines if line[4:] and line[1].startswith(("cache-", "store-")) and line[5] == "2"]
        assert len([line for line in up if not line[1].endswith("-votes")]) == 2, f"{host.name}: one master each"
