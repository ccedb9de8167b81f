// Package migrations holds the database's schema as numbered SQL files, which goose applies in
// order, each in a transaction of its own.
//
// A file that was released is never edited: a change is a new file. Numbers have four digits and no
// gaps. Going back means going forward with a new file, so there are no "Down" parts to rot.
//
// Rules of the schema: every id is a UUIDv7 made by the program; times are timestamptz; what the
// domain forbids, a constraint forbids as well, under the name that PostgreSQL gives it by itself
// (table_column_key, table_column_check, table_column_fkey), since errors are mapped by these names;
// a version column counts the changes of what clients see with an ETag.
package migrations

import "embed"

// FS holds the SQL files at its root.
//
//go:embed *.sql
var FS embed.FS
