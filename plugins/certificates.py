"""The self-signed certificate of the site, and the CAs of the fleet: creates them, and compares names."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

# Long, so that a forgotten self-signed certificate does not take the site down when it expires.
VALID = timedelta(days=3650, hours=1)
# What a key may be used for.
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def tls_pair(domain: str, address: str = "", more: Iterable[str] = ()) -> tuple[str, str]:
    """A new private key and its self-signed certificate for `domain`, `address` and `more` names, both PEM."""
    alternatives = [_general(each) for each in dict.fromkeys([domain, address, *more]) if each]
    extensions = {
        x509.SubjectAlternativeName(alternatives): False,
        # Who trusts it must not trust other certificates that its key, which is on every load balancer, may sign.
        x509.BasicConstraints(ca=False, path_length=None): True,
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]): False,
    }
    return _self_signed(ec.generate_private_key(ec.SECP256R1()), domain, extensions)


def ca_pair(label: str) -> tuple[str, str]:
    """A new private key of a CA and its certificate, both PEM. The CA signs certificates of hosts, and no other CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
    extensions = {
        x509.BasicConstraints(ca=True, path_length=0): True,
        x509.KeyUsage(**usage): True,
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()): False,
    }
    return _self_signed(key, f"{label.strip('_')} {secrets.token_hex(4)}", extensions)


def names(certificate: str) -> list[str]:
    """The DNS names and addresses of a certificate, the first one of a PEM chain."""
    try:
        found = leaf(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return found.get_values_for_type(x509.DNSName) + [str(a) for a in found.get_values_for_type(x509.IPAddress)]


def generated(certificate: str) -> bool:
    """Whether the certificate is one of tls_pair, so that another one may replace it."""
    found = leaf(certificate)
    common = [str(attribute.value) for attribute in found.subject if attribute.oid == x509.NameOID.COMMON_NAME]
    return (
        found.issuer == found.subject
        and len(list(found.subject)) == 1
        and common == names(certificate)[:1]
        and found.not_valid_after_utc - found.not_valid_before_utc == VALID
    )


def covers(certificate: str, name: str) -> bool:
    """Whether the certificate is valid for a name or an address."""
    parent = name.partition(".")[2]
    return any(other.lower() in (name.lower(), f"*.{parent}".lower()) for other in names(certificate))


def can_sign(certificate: x509.Certificate) -> bool:
    """Whether it is that of a CA, with the identifier by which a certificate names its issuer."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        return constraints.ca and bool(certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier))
    except x509.ExtensionNotFound:
        return False


def leaf(certificate: str) -> x509.Certificate:
    """The first certificate of a PEM chain."""
    return x509.load_pem_x509_certificates(certificate.encode())[0]


def _self_signed(
    key: ec.EllipticCurvePrivateKey, common_name: str, extensions: Mapping[x509.ExtensionType, bool]
) -> tuple[str, str]:
    """The key and its certificate, both PEM. The values of `extensions` are whether they are critical."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    begin = datetime.now(UTC) - timedelta(days=1)  # the clocks of clients may be behind
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + VALID)
    )
    for extension, critical in extensions.items():
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
