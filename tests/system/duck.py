"""DuckDB by its C library, for tests that read back what we wrote: one query, its rows as tuples of texts. Standard library only."""
import ctypes
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARY = pathlib.Path(os.environ.get("MOTORCADE_DUCKDB") or ROOT / "tools/duckdb/node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so")


class Result(ctypes.Structure):
    _fields_ = [("unused", ctypes.c_uint64 * 3), ("columns", ctypes.c_void_p), ("error", ctypes.c_void_p), ("inside", ctypes.c_void_p)]


class Duck:
    def __init__(self):
        self.lib = ctypes.CDLL(str(LIBRARY))
        self.database, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        self.lib.duckdb_result_error.restype = ctypes.c_char_p
        self.lib.duckdb_value_varchar.restype = ctypes.c_void_p
        for name in ("duckdb_row_count", "duckdb_column_count"):
            getattr(self.lib, name).restype = ctypes.c_uint64
        if self.lib.duckdb_open(None, ctypes.byref(self.database)) or self.lib.duckdb_connect(self.database, ctypes.byref(self.connection)):
            raise RuntimeError("DuckDB does not open")

    def rows(self, sql):
        result = Result()
        if self.lib.duckdb_query(self.connection, sql.encode(), ctypes.byref(result)):
            text = self.lib.duckdb_result_error(ctypes.byref(result)).decode()
            self.lib.duckdb_destroy_result(ctypes.byref(result))
            raise RuntimeError(text)
        out = []
        columns = self.lib.duckdb_column_count(ctypes.byref(result))
        for row in range(self.lib.duckdb_row_count(ctypes.byref(result))):
            values = []
            for column in range(columns):
                text = self.lib.duckdb_value_varchar(ctypes.byref(result), ctypes.c_uint64(column), ctypes.c_uint64(row))
                values.append(ctypes.string_at(text).decode() if text else None)
                self.lib.duckdb_free(ctypes.c_void_p(text))
            out.append(tuple(values))
        self.lib.duckdb_destroy_result(ctypes.byref(result))
        return out
