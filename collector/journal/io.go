package journal

import sqlite3 "modernc.org/sqlite/lib"

// explainIO says what a user can do about an I/O error, by SQLite's extended code
// (https://sqlite.org/rescode.html).
func explainIO(code int) string {
	switch code {
	case sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_UNLOCK, sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK, sqlite3.SQLITE_IOERR_SHMLOCK:
		return "the file system of DATA_DIR has no file locks, as some network shares have none; choose a DATA_DIR on a disk of this machine"
	case sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP:
		return "the file beside it that ends in -shm cannot be made or mapped into memory: make room if the disk is full; a network share may not allow it at all, then choose a DATA_DIR on a disk of this machine"
	}
	return "its disk cannot be read or written, and may be failing or gone: see the log of the kernel (dmesg), and that there is room"
}
