"""Signed notes, checkpoints and the file of the signing key."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from airflow_veil.privacy.audit import checkpoint, keyfile
from airflow_veil.privacy.audit.note import SigningKey, VerifierKey, opened
from airflow_veil.privacy.errors import AuditError, KeyRingError

# The examples of Go's sumdb/note and of C2SP's signed-note.
GO_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
GO_SIGNATURE = (
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
C2SP_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
KEY = SigningKey.generate("example.com/veil")
OTHER = SigningKey.generate("example.com/veil")


class TestNote:
    """Signed notes."""

    def test_are_those_of_go(self) -> None:
        """The same key signs the same text with the same bytes."""
        key = SigningKey.parse(GO_KEY)

        assert key.sign(GO_TEXT) == f"{GO_TEXT}\n{GO_SIGNATURE}"
        assert str(key.verifier) == GO_VKEY
        assert key.secret_text() == GO_KEY

    def test_of_c2sp_is_read(self) -> None:
        """The specification's example holds."""
        assert opened(C2SP_NOTE, [VerifierKey.parse(C2SP_VKEY)]) == "This is an example message.\n"

    def test_others_may_sign_too(self) -> None:
        """Signatures of unknown keys, before or after, are passed over."""
        mine, theirs = KEY.sign("text\n"), OTHER.sign("text\n").rpartition("\n\n")[2]

        assert opened(mine + theirs, [KEY.verifier]) == "text\n"
        assert opened(f"text\n\n{theirs}" + mine.rpartition("\n\n")[2], [KEY.verifier]) == "text\n"

    def test_of_somebody_else_is_refused(self) -> None:
        """A key of the same name is another key."""
        with pytest.raises(AuditError, match="none of the given keys"):
            opened(OTHER.sign("text\n"), [KEY.verifier])
        with pytest.raises(AuditError, match="none of the given keys"):
            opened(KEY.sign("text\n"), [])

    def test_a_false_signature_beside_a_good_one_is_refused(self) -> None:
        """Who is known and did not sign this spoils the note."""
        false = OTHER.sign("other\n").rpartition("\n\n")[2]

        with pytest.raises(AuditError, match="is not of this text"):
            opened(KEY.sign("text\n") + false, [KEY.verifier, OTHER.verifier])

    @pytest.mark.parametrize(
        "note",
        [
            "",
            "text\n",
            "text\n\n",
            KEY.sign("text\n").removesuffix("\n"),
            KEY.sign("text\n").replace("\u2014", "--"),
            KEY.sign("text\n") + "\n",
            KEY.sign("te\x00xt\n"),
            KEY.sign("text\n" * 20_000),
        ],
        ids=["empty", "no signature", "no line", "no end", "hyphens", "a line more", "control", "large"],
    )
    def test_that_is_none(self, note: str) -> None:
        """What has not the form of a note is refused."""
        with pytest.raises(AuditError, match="no signed note"):
            opened(note, [KEY.verifier])


class TestKeys:
    """Keys as text."""

    def test_read_what_they_write(self) -> None:
        """A key is the same after it was written."""
        assert SigningKey.parse(KEY.secret_text()) == KEY
        assert VerifierKey.parse(f" {KEY.verifier}\n") == KEY.verifier

    def test_are_not_shown(self) -> None:
        """The private half is in no repr."""
        assert KEY.seed.hex() not in repr(KEY)
        assert repr(KEY.seed) not in repr(KEY)
        assert pickle.loads(pickle.dumps(KEY)) == KEY

    @pytest.mark.parametrize(
        "text", ["", "name", "name+00000000+AAAA", f"{GO_VKEY}=", GO_VKEY.replace("P", "Q"), GO_KEY]
    )
    def test_that_are_none(self, text: str) -> None:
        """What is no verifier key, or has a fault in it, is refused."""
        with pytest.raises(AuditError, match=r"is no (verifier )?key"):
            VerifierKey.parse(text)

    @pytest.mark.parametrize(
        "text", ["", "canary", GO_VKEY, GO_KEY[:-4], f"x{GO_KEY}", GO_KEY.replace("c74f", "0000")]
    )
    def test_private_ones_that_are_none(self, text: str) -> None:
        """They are not quoted: they may be most of a secret."""
        with pytest.raises(AuditError, match=r"is no (signing )?key") as caught:
            SigningKey.parse(text, where="here")
        assert "canary" not in str(caught.value)
        assert GO_KEY[30:50] not in str(caught.value)

    @pytest.mark.parametrize("name", ["", "two words", "a+b", "x" * 129, "line\n"])
    def test_have_names(self, name: str) -> None:
        """The name stands in lines of texts, between spaces and plus signs."""
        with pytest.raises(AuditError, match="cannot have that name"):
            SigningKey.generate(name)


class TestCheckpoint:
    """Checkpoints."""

    def test_have_the_form_of_c2sp(self) -> None:
        """Origin, size and root in base64, then the signature."""
        signed = checkpoint.sign(KEY, 7, bytes(32))

        assert signed.note.startswith(f"example.com/veil\n7\n{'A' * 43}=\n\n\u2014 example.com/veil ")
        assert checkpoint.read(signed.note, [KEY.verifier]).checkpoint == signed.checkpoint

    def test_may_have_extensions(self) -> None:
        """Further lines are for others."""
        note = KEY.sign(f"example.com/veil\n7\n{'A' * 43}=\nmore\n")

        assert checkpoint.read(note, [KEY.verifier]).size == 7

    @pytest.mark.parametrize(
        "text",
        [
            "example.com/veil\n",
            f"example.com/veil\n07\n{'A' * 43}=\n",
            f"example.com/veil\n-7\n{'A' * 43}=\n",
            "example.com/veil\n7\nAAAA\n",
            f"example.com/veil\n7\n{'A' * 42}B=\n",
            "example.com/veil\n7\n!\n",
        ],
    )
    def test_that_are_none(self, text: str) -> None:
        """A signature does not make a checkpoint of any text."""
        with pytest.raises(AuditError, match="no checkpoint"):
            checkpoint.read(KEY.sign(text), [KEY.verifier])

    def test_of_another_log(self) -> None:
        """A key signs for the log of its name only."""
        note = KEY.sign(f"example.com/other\n7\n{'A' * 43}=\n")

        with pytest.raises(AuditError, match="another log"):
            checkpoint.read(note, [KEY.verifier])


class TestKeyFile:
    """The file of the signing key."""

    def test_is_its_owners_alone(self, tmp_path: Path) -> None:
        """Mode 0600, whatever the umask, and what was written is read."""
        path = tmp_path / "new" / "audit.key"
        keyfile.create(path, KEY)

        assert path.stat().st_mode & 0o777 == 0o600
        assert keyfile.load(path) == KEY

    def test_is_never_replaced(self, tmp_path: Path) -> None:
        """A key that is there stays."""
        keyfile.create(tmp_path / "audit.key", KEY)

        with pytest.raises(KeyRingError, match="exists already"):
            keyfile.create(tmp_path / "audit.key", OTHER)
        assert keyfile.load(tmp_path / "audit.key") == KEY

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
    def test_open_to_others_is_refused(self, tmp_path: Path, mode: int) -> None:
        """A key that others can use signs for nobody."""
        keyfile.create(tmp_path / "audit.key", KEY)
        (tmp_path / "audit.key").chmod(mode)

        with pytest.raises(KeyRingError, match=f"others can use .* {mode:04o}"):
            keyfile.load(tmp_path / "audit.key")

    def test_other_things_are_refused(self, tmp_path: Path) -> None:
        """No file, a link, a pipe, a folder, another text."""
        keyfile.create(tmp_path / "audit.key", KEY)
        (tmp_path / "link").symlink_to(tmp_path / "audit.key")
        os.mkfifo(tmp_path / "pipe", 0o600)
        (tmp_path / "text").write_text("canary")
        (tmp_path / "text").chmod(0o600)

        for name, told in {
            "none": "no such",
            "link": "symbolic link",
            "pipe": "no regular",
            "": "no regular",
        }.items():
            with pytest.raises(KeyRingError, match=told):
                keyfile.load(tmp_path / name)
        with pytest.raises(AuditError, match="no signing key") as caught:
            keyfile.load(tmp_path / "text")
        assert "canary" not in str(caught.value)
