"""Cryptographic operations: real AES-GCM, RSA, elliptic curves and HMAC, with our own blob format.

They are what counts as use of a key.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import os
import struct
from collections.abc import Iterable
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import AwsError, constraint, validation
from . import describing
from .call import Call, unsupported
from .keys import Json, Key
from .service import keyed, keyless

_MAGIC = b"EMB1"


def encode(blob: bytes) -> str:
    """Return binary data as JSON carries it."""
    return base64.b64encode(blob).decode()


def _seal(key: Key, plaintext: bytes, context: object) -> bytes:

    header = json.dumps([key.account, key.region, key.id]).encode()
    nonce = os.urandom(12)
    sealed = AESGCM(key.material).encrypt(nonce, plaintext, _aad(context))
    return _MAGIC + struct.pack(">H", len(header)) + header + nonce + sealed


def _open(call: Call, blob: bytes) -> tuple[Key, bytes, bytes]:
    """Return the key a blob was made with, its nonce and the sealed rest."""
    if not blob.startswith(_MAGIC):
        raise AwsError("InvalidCiphertextException", "")
    try:
        (length,) = struct.unpack(">H", blob[4:6])
        account, region, identifier = json.loads(blob[6 : 6 + length])
    except (ValueError, struct.error):
        raise AwsError("InvalidCiphertextException", "") from None
    store = call.keys.region(account, call.region)
    key = store.keys.get(identifier)
    if key is None or (region != call.region and key.primary_region is None):
        raise AwsError(
            "AccessDeniedException",
            "The ciphertext refers to a customer master key that does not exist, does not exist "
            "in this region, or you are not allowed to access.",
        )
    rest = blob[6 + length :]
    return key, rest[:12], rest[12:]


def _unseal(key: Key, nonce: bytes, sealed: bytes, context: object) -> bytes:

    try:
        return AESGCM(key.material).decrypt(nonce, sealed, _aad(context))
    except InvalidTag:
        raise AwsError("InvalidCiphertextException", "") from None


def _aad(context: object) -> bytes:
    return json.dumps(context or {}, sort_keys=True).encode()


def _expect(call: Call, key: Key, usage: str, symmetric: bool = False) -> None:
    if key.usage != usage or (symmetric and key.spec != "SYMMETRIC_DEFAULT"):
        raise AwsError(
            "InvalidKeyUsageException",
            f"{key.arn} key usage is {key.usage} which is not valid for {call.operation}.",
        )


def _size(blob: bytes, parameter: str, most: int) -> bytes:
    if not blob:
        raise constraint("", parameter, "have length greater than or equal to 1")
    if len(blob) > most:
        raise validation(
            f"1 validation error detected: Value at '{parameter}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {most}"
        )
    return blob


def _fits(
    key: Key, algorithm: str, allowed: list[str], parameter: str, known: Iterable[str]
) -> None:
    """Refuse an algorithm that does not exist, or that the key does not have."""
    if algorithm in allowed:
        return
    if algorithm not in known:
        raise constraint(algorithm, parameter, f"satisfy enum value set: [{', '.join(known)}]")
    raise AwsError(
        "InvalidKeyUsageException",
        f"Algorithm {algorithm} is incompatible with key spec {key.spec}.",
    )


@keyed("Encrypt", alias=True, cross_account=True)
def encrypt(call: Call, key: Key) -> Json:
    """Answer Encrypt: at most 4096 bytes."""
    _expect(call, key, "ENCRYPT_DECRYPT")
    plaintext = _size(call.blob("Plaintext"), "plaintext", 4096)
    algorithm = call.params.get("EncryptionAlgorithm")
    allowed = describing.algorithms(key)["EncryptionAlgorithms"]
    if algorithm is not None:
        _fits(key, algorithm, allowed, "encryptionAlgorithm", describing.ENCRYPTING)
    if key.spec != "SYMMETRIC_DEFAULT":
        if algorithm is None:
            raise validation("EncryptionAlgorithm is required for asymmetric keys.")
        _demand_room(key, plaintext, algorithm)
    blob = _seal(key, plaintext, call.params.get("EncryptionContext"))
    return {
        "CiphertextBlob": encode(blob),
        "KeyId": key.arn,
        "EncryptionAlgorithm": algorithm or "SYMMETRIC_DEFAULT",
    }


def _demand_room(key: Key, plaintext: bytes, algorithm: str) -> None:
    """Refuse what OAEP cannot encrypt: the modulus less two digests and two bytes."""
    most = int(key.spec[-4:]) // 8 - 2 * _OAEP_DIGEST.get(algorithm, 0) - 2
    if len(plaintext) > most:
        raise validation(
            f"Algorithm {algorithm} and key spec {key.spec} cannot encrypt data larger than "
            f"{most} bytes."
        )


_OAEP_DIGEST = {"RSAES_OAEP_SHA_1": 20, "RSAES_OAEP_SHA_256": 32}


def _source(call: Call, blob: bytes, key_id: str | None, action: str) -> tuple[Key, bytes, bytes]:
    """Return the key that a blob needs after all checks, with the blob's parts."""
    if key_id is not None:
        named = call.find(key_id, alias=True, cross_account=True)
        call.key = named
        call.authorize(named, action)
        call.check_state(named)
    key, nonce, sealed = _open(call, blob)
    if key_id is None:
        call.key = key
        call.authorize(key, action)
        call.check_state(key)
    elif named is not key:
        raise AwsError(
            "IncorrectKeyException",
            "The key ID in the request does not identify a CMK that can perform this operation.",
        )
    return key, nonce, sealed


@keyless("Decrypt")
def decrypt(call: Call) -> Json:
    """Answer Decrypt; the blob names its key, which must be KeyId when that is given."""
    key_id = call.params.get("KeyId")
    blob = _size(call.blob("CiphertextBlob"), "ciphertextBlob", 6144)
    key, nonce, sealed = _source(call, blob, key_id, "kms:Decrypt")
    _expect(call, key, "ENCRYPT_DECRYPT")
    plaintext = _unseal(key, nonce, sealed, call.params.get("EncryptionContext"))
    material = {"KeyMaterialId": describing.material_id(key)} if describing.rotates(key) else {}
    return {
        "KeyId": key.arn,
        "Plaintext": encode(plaintext),
        "EncryptionAlgorithm": call.params.get("EncryptionAlgorithm", "SYMMETRIC_DEFAULT"),
        **material,
    }


@keyless("ReEncrypt")
def re_encrypt(call: Call) -> Json:
    """Answer ReEncrypt: it uses the source and the destination key."""
    blob = _size(call.blob("CiphertextBlob"), "ciphertextBlob", 6144)
    source, nonce, sealed = _source(call, blob, call.params.get("SourceKeyId"), "kms:ReEncryptFrom")
    destination = call.find(call.text("DestinationKeyId"), alias=True, cross_account=True)
    call.others.append(destination)
    call.authorize(destination, "kms:ReEncryptTo")
    call.check_state(destination)
    plaintext = _unseal(source, nonce, sealed, call.params.get("SourceEncryptionContext"))
    sealed_again = _seal(destination, plaintext, call.params.get("DestinationEncryptionContext"))
    return {
        "CiphertextBlob": encode(sealed_again),
        "SourceKeyId": source.arn,
        "KeyId": destination.arn,
        "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }


def _data_key(call: Call, key: Key) -> tuple[bytes, Json]:
    _expect(call, key, "ENCRYPT_DECRYPT", symmetric=True)
    sizes = {"AES_128": 16, "AES_256": 32}
    spec, number = call.params.get("KeySpec"), call.params.get("NumberOfBytes")
    if (spec is None) == (number is None):
        raise validation("Please specify either number of bytes or key spec.")
    if spec is not None and spec not in sizes:
        raise constraint(spec, "keySpec", "satisfy enum value set: [AES_256, AES_128]")
    length = sizes[spec] if spec else call.number("NumberOfBytes", 32, 1, 1024)
    plaintext = os.urandom(length)
    blob = _seal(key, plaintext, call.params.get("EncryptionContext"))
    return plaintext, {"CiphertextBlob": encode(blob), "KeyId": key.arn}


@keyed("GenerateDataKey", alias=True, cross_account=True)
def generate_data_key(call: Call, key: Key) -> Json:
    """Answer GenerateDataKey."""
    plaintext, shown = _data_key(call, key)
    return {**shown, "Plaintext": encode(plaintext)}


@keyed("GenerateDataKeyWithoutPlaintext", alias=True, cross_account=True)
def generate_data_key_without_plaintext(call: Call, key: Key) -> Json:
    """Answer GenerateDataKeyWithoutPlaintext."""
    if call.params.get("KeySpec") is None and call.params.get("NumberOfBytes") is None:
        call.params["KeySpec"] = "AES_256"
    return _data_key(call, key)[1]


def _data_key_pair(call: Call, key: Key) -> tuple[bytes, Json]:
    _expect(call, key, "ENCRYPT_DECRYPT", symmetric=True)

    spec = call.text("KeyPairSpec")
    private = _new_private_key(spec)
    if private is None:
        raise AwsError("UnsupportedOperationException", f"{spec} data key pairs are not supported.")
    secret = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    blob = _seal(key, secret, call.params.get("EncryptionContext"))
    return secret, {
        "PrivateKeyCiphertextBlob": encode(blob),
        "PublicKey": encode(_public_bytes(private)),
        "KeyId": key.arn,
        "KeyPairSpec": spec,
    }


@keyed("GenerateDataKeyPair", alias=True, cross_account=True)
def generate_data_key_pair(call: Call, key: Key) -> Json:
    """Answer GenerateDataKeyPair."""
    secret, shown = _data_key_pair(call, key)
    return {**shown, "PrivateKeyPlaintext": encode(secret)}


@keyed("GenerateDataKeyPairWithoutPlaintext", alias=True, cross_account=True)
def generate_data_key_pair_without_plaintext(call: Call, key: Key) -> Json:
    """Answer GenerateDataKeyPairWithoutPlaintext."""
    return _data_key_pair(call, key)[1]


@keyless("GenerateRandom")
def generate_random(call: Call) -> Json:
    """Answer GenerateRandom."""
    call.authorize(None, "kms:GenerateRandom")
    if call.params.get("NumberOfBytes") is None:
        raise validation("NumberOfBytes is required.")
    return {"Plaintext": encode(os.urandom(call.number("NumberOfBytes", 32, 1, 1024)))}


def _new_private_key(spec: str) -> Any:
    """Return a private key of a key spec; none for specs this library does not have."""

    if spec.startswith("RSA_"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(spec[4:]))
    curves: dict[str, ec.EllipticCurve] = {
        "ECC_NIST_P256": ec.SECP256R1(),
        "ECC_NIST_P384": ec.SECP384R1(),
        "ECC_NIST_P521": ec.SECP521R1(),
        "ECC_SECG_P256K1": ec.SECP256K1(),
    }
    if spec in curves:
        return ec.generate_private_key(curves[spec])
    if spec == "ECC_NIST_EDWARDS25519":
        return ed25519.Ed25519PrivateKey.generate()
    return None


def _private_key(key: Key) -> Any:
    if key.private_key is None:
        key.private_key = _new_private_key(key.spec)
    if key.private_key is None:
        raise unsupported()
    return key.private_key


def _public_bytes(private: Any) -> bytes:

    blob: bytes = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return blob


@functools.lru_cache(maxsize=1)
def rsa_wrapping_key() -> bytes:
    """Return a public key to wrap imported key material with."""
    return _public_bytes(_new_private_key("RSA_2048"))


@keyed("GetPublicKey", alias=True, cross_account=True)
def get_public_key(call: Call, key: Key) -> Json:
    """Answer GetPublicKey of an asymmetric key."""
    if key.spec == "SYMMETRIC_DEFAULT" or key.spec.startswith("HMAC"):
        raise unsupported()
    return {
        "KeyId": key.arn,
        "PublicKey": encode(_public_bytes(_private_key(key))),
        "KeySpec": key.spec,
        "CustomerMasterKeySpec": key.spec,
        "KeyUsage": key.usage,
        **describing.algorithms(key),
    }


def _signing(call: Call, key: Key) -> tuple[str, tuple[Any, ...]]:
    """Return the algorithm and the scheme arguments of cryptography's sign and verify."""

    _expect(call, key, "SIGN_VERIFY")
    algorithm = call.text("SigningAlgorithm")
    allowed = describing.algorithms(key)["SigningAlgorithms"]
    _fits(key, algorithm, allowed, "signingAlgorithm", describing.SIGNING)
    if algorithm.startswith("ED25519"):
        return algorithm, ()
    known: dict[str, hashes.HashAlgorithm] = {
        "256": hashes.SHA256(),
        "384": hashes.SHA384(),
        "512": hashes.SHA512(),
    }
    chosen = known[algorithm[-3:]]
    digest: Any = chosen
    if call.params.get("MessageType") == "DIGEST":
        if len(call.blob("Message")) != chosen.digest_size:
            raise validation(f"Digest is invalid length for algorithm {algorithm}.")
        digest = utils.Prehashed(chosen)
    if algorithm.startswith("ECDSA"):
        return algorithm, (ec.ECDSA(digest),)
    if "PSS" in algorithm:
        pss = padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH)
        return algorithm, (pss, digest)
    return algorithm, (padding.PKCS1v15(), digest)


@keyed("Sign", alias=True, cross_account=True)
def sign(call: Call, key: Key) -> Json:
    """Answer Sign."""
    algorithm, scheme = _signing(call, key)
    signature = _private_key(key).sign(_size(call.blob("Message"), "message", 4096), *scheme)
    return {"KeyId": key.arn, "Signature": encode(signature), "SigningAlgorithm": algorithm}


@keyed("Verify", alias=True, cross_account=True)
def verify(call: Call, key: Key) -> Json:
    """Answer Verify; a wrong signature is an error."""

    algorithm, scheme = _signing(call, key)
    public = _private_key(key).public_key()
    try:
        public.verify(call.blob("Signature"), call.blob("Message"), *scheme)
    except InvalidSignature:
        raise AwsError("KMSInvalidSignatureException", "") from None
    return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


_MACS = ("HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512")


def _mac(call: Call, key: Key) -> tuple[str, bytes]:
    _expect(call, key, "GENERATE_VERIFY_MAC")
    algorithm = call.text("MacAlgorithm")
    _fits(key, algorithm, describing.algorithms(key)["MacAlgorithms"], "macAlgorithm", _MACS)
    message = _size(call.blob("Message"), "message", 4096)
    digest = getattr(hashlib, f"sha{algorithm[-3:]}")
    return algorithm, hmac.new(key.material, message, digest).digest()


@keyed("GenerateMac", alias=True, cross_account=True)
def generate_mac(call: Call, key: Key) -> Json:
    """Answer GenerateMac."""
    algorithm, mac = _mac(call, key)
    return {"KeyId": key.arn, "Mac": encode(mac), "MacAlgorithm": algorithm}


@keyed("VerifyMac", alias=True, cross_account=True)
def verify_mac(call: Call, key: Key) -> Json:
    """Answer VerifyMac; a wrong one is an error."""
    algorithm, mac = _mac(call, key)
    if not hmac.compare_digest(mac, call.blob("Mac")):
        raise AwsError("KMSInvalidMacException", "")
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm}


@keyed("DeriveSharedSecret", alias=True, cross_account=True)
def derive_shared_secret(call: Call, key: Key) -> Json:
    """Answer DeriveSharedSecret (ECDH)."""

    _expect(call, key, "KEY_AGREEMENT")
    algorithm = call.text("KeyAgreementAlgorithm")
    if algorithm != "ECDH":
        raise constraint(algorithm, "keyAgreementAlgorithm", "satisfy enum value set: [ECDH]")
    try:
        peer = serialization.load_der_public_key(call.blob("PublicKey"))
    except (ValueError, UnsupportedAlgorithm):
        raise validation("") from None
    secret = _private_key(key).exchange(ec.ECDH(), peer)
    return {
        "KeyId": key.arn,
        "SharedSecret": encode(secret),
        "KeyAgreementAlgorithm": "ECDH",
        "KeyOrigin": key.origin,
    }
