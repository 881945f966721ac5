"""Labels of your own pool in an SQLite file: each is on disk before it is confirmed."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ialelib.labelling.checks import check_classes, fingerprint
from ialelib.utils.checks import check_count, check_indices, is_whole
from ialelib.utils.errors import InputError
from ialelib.utils.files import atomic, beside, expanded, real

APPLICATION, VERSION = 0x49414C45, 2
SKIPPED = -1  # in place of a class
MARKS = ("application_id", "user_version", "quick_check")
LARGEST = 2**63 - 1
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
INSERT INTO about VALUES ('writes', 0);
"""
# Labels are never deleted: what was undone, or changed later, is history.
SECOND = """
ALTER TABLE labels ADD COLUMN unsure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE labels ADD COLUMN undone TEXT;
CREATE VIEW given AS SELECT * FROM labels WHERE undone IS NULL
"""


class LabelFile:
    """Connections to one file; each change a transaction of its own, on disk when it returns.

    Raises:
        InputError: the file is of other classes, damaged, no label store, or cannot be opened.
    """

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self.path, self._classes, self._seen = path, list(classes), -1
        if not os.path.exists(path):
            self._create()
        with self.open() as db:
            db.execute("BEGIN IMMEDIATE")
            self._check(db)
            self._seen = about(db, "writes")
            db.execute("COMMIT")

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with."""
        # One connection per call: no thread or forgotten widget then holds the file open.
        address = f"{self.path.absolute().as_uri()}?mode=rw"
        try:
            link = sqlite3.connect(address, timeout=PATIENCE, isolation_level=None, uri=True)
            with closing(link) as db:
                db.execute("PRAGMA synchronous = FULL")
                yield db
        except sqlite3.OperationalError as error:
            raise InputError(
                f"{self.path} cannot be used now ({error}): is another process writing to it, or "
                "was it moved or made read-only? Fix that and try again; no saved label is lost"
            ) from error
        except (sqlite3.DatabaseError, pd.errors.DatabaseError, UnicodeDecodeError) as error:
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

    def _create(self) -> None:
        """Make the file aside, so that under its name it is whole; another process's stays."""
        path = real(self.path)
        try:
            with beside(path) as new:
                with closing(sqlite3.connect(new)) as db, db:
                    db.executescript(SCHEMA + SECOND)
                    db.executemany("INSERT INTO classes VALUES (?, ?)", enumerate(self._classes))
                    db.execute(f"PRAGMA application_id = {APPLICATION}")
                    db.execute(f"PRAGMA user_version = {VERSION}")
                _name(new, path)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"{path} cannot be made ({error}); choose another place") from error

    def _check(self, db: sqlite3.Connection) -> None:
        if not self.path.stat().st_size:
            raise self._foreign("it is empty")
        marks = [db.execute(f"PRAGMA {mark}").fetchone()[0] for mark in MARKS]
        if marks not in ([APPLICATION, version, "ok"] for version in (1, VERSION)):
            raise self._foreign(f"marks {marks}")
        names = [name for (name,) in db.execute("SELECT name FROM classes ORDER BY class")]
        if names != self._classes:
            raise InputError(
                f"{self.path} holds labels of the classes {', '.join(names)}, not of "
                f"{', '.join(self._classes)}; use another file for these"
            )
        if marks[1] == 1:
            for statement in SECOND.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")

    def _foreign(self, why: str) -> InputError:
        return InputError(
            f"{self.path} is damaged or no label store ({why}); it is left as it is: move it "
            "away or put a good copy in its place, or choose another file"
        )


def _name(new: Path, path: Path) -> None:
    """Give a file its name, unless another process has just taken it."""
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links, as on memory sticks
        new.rename(path)


def about(db: sqlite3.Connection, name: str) -> Any:
    """A value by its name: "writes" so far; the "pool" (a fingerprint), its number of "images"."""
    row = db.execute("SELECT value FROM about WHERE name = ?", [name]).fetchone()
    return row[0] if row else None


# A changed label is a further row; the last one counts.
LABELS = """
SELECT image AS "index", class AS label, name AS class, batch, time, unsure
FROM given JOIN classes USING (class)
WHERE id IN (SELECT max(id) FROM given GROUP BY image) ORDER BY batch, id
"""
HISTORY = """
SELECT image AS "index", ifnull(name, 'skipped') AS class, unsure, batch, time, undone
FROM labels LEFT JOIN classes USING (class) ORDER BY id
"""


class LabelStore:
    """The labels given so far, the batches proposed, and the accuracy after each.

    Every method that changes something returns only after the change is on disk. A second
    process may use the same file: who writes after the other did is refused once, with nothing
    lost, and sees the other's work from then on.

    Args:
        path: the file; made, with missing folders, if there is none.
        classes: names of the classes; the file keeps their order, which a reopening must repeat.
        pool: the images, N x ..., of which the file keeps a fingerprint.

    Raises:
        InputError: no class, or one name twice; a file of other classes or of another pool, or
            one that is damaged or no label store. The file is left as it was.
    """

    def __init__(
        self, path: str | Path, classes: Sequence[str], pool: np.ndarray | None = None
    ) -> None:
        self.path = expanded(path)
        self.classes = check_classes(classes)
        self._file = LabelFile(self.path, self.classes)
        if pool is not None:
            self.bind(pool)

    def bind(self, pool: np.ndarray) -> None:
        """Tie the file to these images, N x ..., which may have been added to at their end.

        Raises:
            InputError: the file belongs to other images.
        """
        mark = fingerprint(pool)
        with self._file.open() as db:
            if about(db, "pool") is None:  # of two processes at once the first one's stays
                values = [("pool", mark), ("images", len(pool))]
                db.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", values)
            known, images = about(db, "pool"), about(db, "images")
        if known != mark and (not images or fingerprint(pool[:images]) != known):
            raise InputError(
                f"{self.path} holds labels of another pool of images (fingerprint {known}, not "
                f"{mark}); use another file, or put new images after those that it knows"
            )
        if (known, images) != (mark, len(pool)):
            with self._file.write() as db:
                values = [("pool", mark), ("images", len(pool))]
                db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", values)

    @property
    def number(self) -> int:
        """Number of the current batch, from 1; 0 before the first."""
        with self._file.open() as db:
            return _number(db)

    @property
    def batch(self) -> np.ndarray:
        """Indices of the current batch, in the order proposed; empty before the first."""
        with self._file.open() as db:
            return np.array(_images(db, _number(db)), dtype=np.int64)

    @property
    def unlabelled(self) -> int:
        """Number of images in the current batch that are neither labelled nor skipped."""
        with self._file.open() as db:
            return _unlabelled(db, _number(db))

    @property
    def events(self) -> list[tuple[int, int]]:
        """(index, class) of every label given in the current batch, oldest first; -1: skipped."""
        return self.events_in(self.number)

    def events_in(self, batch: int) -> list[tuple[int, int]]:
        """The same of any batch so far."""
        check_count("batch", batch, 0)
        query = "SELECT image, class FROM given WHERE batch = ? ORDER BY id"
        with self._file.open() as db:
            return list(db.execute(query, [batch]))

    def images_in(self, batch: int) -> list[int]:
        """Indices of a batch's images, in the order proposed."""
        with self._file.open() as db:
            return _images(db, batch)

    @property
    def skipped(self) -> np.ndarray:
        """Indices of the images that shall have no label, int64."""
        last = "SELECT max(id) FROM given GROUP BY image"
        query = f"SELECT image FROM given WHERE class = {SKIPPED} AND id IN ({last}) ORDER BY id"
        with self._file.open() as db:
            return np.array([image for (image,) in db.execute(query)], dtype=np.int64)

    @property
    def table(self) -> pd.DataFrame:
        """Labels that count; columns: index, label (class index), class (name), batch, time (UTC),
        unsure (true or false). Skipped images have none.
        """
        with self._file.open() as db:
            return pd.read_sql_query(LABELS, db).astype({"unsure": bool})

    @property
    def history(self) -> pd.DataFrame:
        """All that was ever given, oldest first, also what was changed or undone later.

        Columns: index, class (name, or "skipped"), unsure, batch, time, undone (a time, or none).
        """
        with self._file.open() as db:
            return pd.read_sql_query(HISTORY, db).astype({"unsure": bool})

    @property
    def labelled(self) -> np.ndarray:
        """Indices of the images labelled so far, int64, by batch and time."""
        return self.table["index"].to_numpy(np.int64)

    @property
    def labels(self) -> np.ndarray:
        """Class indices of `labelled`, int64."""
        return self.table["label"].to_numpy(np.int64)

    @property
    def scores(self) -> pd.DataFrame:
        """Held-out accuracy; columns: batch (0: before the first), labels, accuracy (0 to 1)."""
        with self._file.open() as db:
            return pd.read_sql_query("SELECT batch, labels, accuracy FROM scores", db)

    def propose(self, indices: Sequence[int] | np.ndarray) -> None:
        """Begin the next batch, in place of the current one where none of it is labelled.

        Raises:
            InputError: the current one is unfinished; no image, one twice, or from a batch before.
        """
        images = check_indices("a batch", indices).tolist()
        if not images:
            raise InputError("a batch must hold at least one image")
        with self._file.write() as db:
            number = _number(db)
            if left := _unlabelled(db, number):
                if left < len(_images(db, number)):
                    raise _unfinished(number, left)
                db.execute("DELETE FROM batches WHERE batch = ?", [number])
                number -= 1
            rows = [(number + 1, place, image) for place, image in enumerate(images)]
            try:
                db.executemany("INSERT INTO batches VALUES (?, ?, ?)", rows)
            except sqlite3.IntegrityError as error:
                raise InputError("a batch holds an image that was in a batch before") from error

    def label(
        self, index: int | np.integer, class_: int | np.integer, unsure: bool = False
    ) -> None:
        """Save that the image at `index`, of any batch so far, is of class number `class_`.

        Raises:
            InputError: no such class, or the image was in no batch yet.
        """
        if not is_whole(class_, 0, len(self.classes) - 1):
            last = len(self.classes) - 1
            raise InputError(f"no class {class_}: they are numbered from 0 to {last}")
        if not isinstance(unsure, bool | np.bool_):
            raise InputError(f"unsure is true or false, not {unsure!r}")
        self._give(index, int(class_), bool(unsure))

    def skip(self, index: int | np.integer) -> None:
        """Save that the image at `index` shall have no label; it is not asked for again.

        Raises:
            InputError: the image was in no batch yet.
        """
        self._give(index, SKIPPED, unsure=False)

    def _give(self, index: int | np.integer, class_: int, unsure: bool) -> None:
        with self._file.write() as db:
            number = _number(db)
            query = "SELECT batch FROM batches WHERE image = ?"
            whole = is_whole(index, 0, LARGEST)
            batch = db.execute(query, [int(index)]).fetchone() if whole else None
            if batch is None:
                raise InputError(f"image {index} is not in batch {number}, or one before")
            add = "INSERT INTO labels (image, class, time, batch, unsure) VALUES (?, ?, ?, ?, ?)"
            db.execute(add, [int(index), class_, _now(), batch[0], unsure])
            db.execute("DELETE FROM scores WHERE batch = ?", [number])

    def undo(self, index: int | None = None) -> int:
        """Undo the newest label, or skip, of the current batch and return its image's index.

        Raises:
            InputError: there is none, or it is another image's than `index`.
        """
        with self._file.write() as db:
            number = _number(db)
            query = "SELECT id, image FROM given WHERE batch = ? ORDER BY id DESC LIMIT 1"
            last = db.execute(query, [number]).fetchone()
            if last is None:
                raise InputError("nothing to undo in this batch")
            if index not in (None, last[1]):
                raise InputError(f"the newest label is that of image {last[1]}, not of {index}")
            db.execute("UPDATE labels SET undone = ? WHERE id = ?", [_now(), last[0]])
            db.execute("DELETE FROM scores WHERE batch = ?", [number])
        return last[1]

    def score(self, labels: int, accuracy: float | np.floating) -> None:
        """Save the held-out accuracy, 0 to 1, that a classifier reached on that many labels.

        Raises:
            InputError: an accuracy outside [0, 1]; the current batch is unfinished.
        """
        if not isinstance(accuracy, Real | np.floating) or not 0 <= accuracy <= 1:
            raise InputError(f"an accuracy lies in [0, 1]; {accuracy!r} does not")
        if not is_whole(labels, 0, LARGEST):
            raise InputError(f"labels must be their number, 0 or more, not {labels!r}")
        with self._file.write() as db:
            number = _number(db)
            if left := _unlabelled(db, number):
                raise _unfinished(number, left)
            row = [number, int(labels), float(accuracy), _now()]
            db.execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?)", row)

    def export(self, path: str | Path) -> None:
        """Write `table` as a CSV file.

        Raises:
            InputError: the path is that of the store itself.
        """
        if real(path) == real(self.path):
            raise InputError(f"{path} is the label store itself; name another file for the table")
        with atomic(path) as temporary:
            self.table.to_csv(temporary, index=False)


def _number(db: sqlite3.Connection) -> int:
    return db.execute("SELECT coalesce(max(batch), 0) FROM batches").fetchone()[0]


def _unlabelled(db: sqlite3.Connection, number: int) -> int:
    query = (
        "SELECT count(*) FROM batches WHERE batch = ? AND image NOT IN (SELECT image FROM given)"
    )
    return db.execute(query, [number]).fetchone()[0]


def _images(db: sqlite3.Connection, number: int) -> list[int]:
    query = "SELECT image FROM batches WHERE batch = ? ORDER BY position"
    return [image for (image,) in db.execute(query, [number])]


def _unfinished(number: int, left: int) -> InputError:
    return InputError(f"batch {number} is not finished: {left} images lack a label")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
