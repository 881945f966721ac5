"""The SQLite file of a label store: made, checked, and opened for one change at a time."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ialelib.errors import InputError

APPLICATION, VERSION = 0x49414C45, 1
MARKS = ("application_id", "user_version", "quick_check")
PATIENCE = 2.0  # seconds to wait for another process that writes
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE classes (class INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE batches (batch INTEGER, position INTEGER, image INTEGER NOT NULL UNIQUE,
                      PRIMARY KEY (batch, position));
CREATE TABLE labels (id INTEGER PRIMARY KEY, image INTEGER NOT NULL, class INTEGER NOT NULL,
                     time TEXT NOT NULL, batch INTEGER NOT NULL);
CREATE TABLE scores (batch INTEGER PRIMARY KEY, labels INTEGER NOT NULL, accuracy REAL NOT NULL,
                     time TEXT NOT NULL);
INSERT INTO about VALUES ('writes', 0)
"""


class LabelFile:
    """Connections to one file; each change a transaction of its own, on disk when it returns.

    Raises:
        InputError: the file is of other classes, damaged, no label store, or cannot be opened.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self.path, self._classes, self._seen = path, list(classes), -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder of {path} cannot be made ({error})") from error
        with self.open("rwc") as db:
            db.execute("BEGIN IMMEDIATE")
            if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._create(db)
            self._check(db)
            self._seen = about(db, "writes")
            db.execute("COMMIT")

    @contextmanager
    def open(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        """A connection to read with; `mode` is SQLite's, "rwc" makes a missing file."""
        # One connection per call: no thread or forgotten widget then holds the file open.
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        try:
            link = sqlite3.connect(address, timeout=PATIENCE, isolation_level=None, uri=True)
            with closing(link) as db:
                db.execute("PRAGMA synchronous = FULL")
                yield db
        except sqlite3.OperationalError as error:
            raise InputError(
                f"{self.path} cannot be used now ({error}): is another process writing to it, or "
                "was it moved or made read-only? Mend that and try again; no saved label is lost"
            ) from error
        except sqlite3.DatabaseError as error:
            raise self._foreign(str(error)) from error

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are kept, all or none, if the block succeeds.

        Raises:
            InputError: another process wrote since this one last did; raised once.
        """
        with self.open() as db:
            db.execute("BEGIN IMMEDIATE")
            writes = about(db, "writes")
            if writes != self._seen:
                self._seen = writes
                raise InputError(
                    f"another process has written to {self.path}; this change is not saved: look "
                    "at what is there now and make it again"
                )
            yield db
            db.execute("UPDATE about SET value = value + 1 WHERE name = 'writes'")
            db.execute("COMMIT")
            self._seen = writes + 1

    def _create(self, db: sqlite3.Connection) -> None:
        for statement in SCHEMA.split(";"):
            db.execute(statement)
        db.executemany("INSERT INTO classes VALUES (?, ?)", enumerate(self._classes))
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {VERSION}")

    def _check(self, db: sqlite3.Connection) -> None:
        marks = [db.execute(f"PRAGMA {mark}").fetchone()[0] for mark in MARKS]
        if marks != [APPLICATION, VERSION, "ok"]:
            raise self._foreign(f"marks {marks}")
        names = [name for (name,) in db.execute("SELECT name FROM classes ORDER BY class")]
        if names != self._classes:
            raise InputError(
                f"{self.path} holds labels of the classes {', '.join(names)}, not of "
                f"{', '.join(self._classes)}; use another file for these"
            )

    def _foreign(self, why: str) -> InputError:
        return InputError(
            f"{self.path} is damaged or no label store ({why}); it is left as it is: move it "
            "away or put a good copy in its place, or choose another file"
        )


def about(db: sqlite3.Connection, name: str) -> Any:
    """The value kept under that name: "writes" so far, or the fingerprint of the "pool"."""
    row = db.execute("SELECT value FROM about WHERE name = ?", [name]).fetchone()
    return row[0] if row else None
